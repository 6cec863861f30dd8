//! Where the database is; the scheme alone chooses the engine.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// A database's address. Its password, where it has one, is never printed.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`: a file, made when it is missing.
    Sqlite(PathBuf),
    /// `postgres://…`.
    Postgres(Box<PgConnectOptions>),
}

/// The text is no database URL; the text itself may hold a password and is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct UrlInvalid;

impl FromStr for DatabaseUrl {
    type Err = UrlInvalid;

    fn from_str(text: &str) -> Result<Self, UrlInvalid> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return if path.is_empty() { Err(UrlInvalid) } else { Ok(Self::Sqlite(PathBuf::from(path))) };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text.parse().map(|options| Self::Postgres(Box::new(options))).map_err(|_| UrlInvalid);
        }
        Err(UrlInvalid)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(options) => {
                write!(f, "postgres://{}:{}/…", options.get_host(), options.get_port())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let url: DatabaseUrl = "postgres://ada:s3cret-word@localhost:5432/tenure".parse().unwrap();
        assert!(!format!("{url:?}").contains("s3cret"));
        assert!("mysql://x".parse::<DatabaseUrl>().is_err());
    }
}
