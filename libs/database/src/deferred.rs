//! Statements whose outcome nobody looks at: on SQLite they run with the statement after them, or with the COMMIT.
//!
//! Each statement costs a round trip to the driver's thread, which costs more than the statement itself; what is put off
//! shares one. The order of statements stays as written.

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Sqlite, Type};

/// The most statements of one round trip: each sequence is a text that the driver keeps prepared.
const MOST: usize = 16;

/// Several statements as one text, with the values of them all.
#[doc(hidden)]
#[derive(Default)]
pub struct Deferred {
    text: String,
    statements: usize,
    arguments: SqliteArguments,
}

impl Deferred {
    /// Begins a statement; its values follow, by [`Self::bind`].
    pub fn statement(&mut self, sql: &'static str) {
        let bound = self.arguments.len();
        let mut parts = sql.split('$');
        self.text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = part.split_at(digits);
            let number = number.parse::<usize>().map_or(0, |number| bound + number);
            self.text.push('$');
            self.text.push_str(&number.to_string());
            self.text.push_str(rest);
        }
        self.text.push(';');
        self.statements += 1;
    }

    /// The next value of the statement that was begun last.
    pub fn bind<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> Result<(), sqlx::Error> {
        self.arguments.add(value).map_err(sqlx::Error::Encode)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.statements >= MOST
    }

    /// Runs them, and this after them; stops at the first that fails.
    pub(crate) async fn run_before(
        mut self,
        last: &'static str,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        self.text.push_str(last);
        self.run(connection).await
    }

    /// Runs them; stops at the first that fails.
    pub(crate) async fn run(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        // Made of statements that were constants.
        sqlx::query_with(AssertSqlSafe(self.text), self.arguments).execute(connection).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_through() {
        let mut deferred = Deferred::default();
        deferred.statement("UPDATE t SET a = $2, b = $2 WHERE id = $1");
        deferred.bind(1_i64).expect("it is encoded");
        deferred.bind(2_i64).expect("it is encoded");
        deferred.statement("DELETE FROM t");
        deferred.statement("INSERT INTO t VALUES ($1, $2)");
        assert_eq!(
            deferred.text,
            "UPDATE t SET a = $2, b = $2 WHERE id = $1;DELETE FROM t;INSERT INTO t VALUES ($3, $4);"
        );
    }
}
