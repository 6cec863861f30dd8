//! Bringing a database to the schema of this program: the foundation first, then the context's own tables.

use std::borrow::Cow;

use sqlx::migrate::Migrator;

static FOUNDATION_SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static FOUNDATION_POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// A context's own migrations, one folder an engine, numbered from 100; the foundation's are numbered below.
#[derive(Debug)]
pub struct Migrations {
    /// `migrations/sqlite` of the context.
    pub sqlite: Migrator,
    /// `migrations/postgres` of the context, same file names.
    pub postgres: Migrator,
}

impl Migrations {
    pub(crate) fn for_sqlite(&self) -> Migrator {
        joined(&FOUNDATION_SQLITE, &self.sqlite)
    }

    pub(crate) fn for_postgres(&self) -> Migrator {
        joined(&FOUNDATION_POSTGRES, &self.postgres)
    }
}

fn joined(foundation: &Migrator, own: &Migrator) -> Migrator {
    let migrations: Vec<_> = foundation.migrations.iter().chain(own.migrations.iter()).cloned().collect();
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}
