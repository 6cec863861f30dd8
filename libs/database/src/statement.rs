//! A statement that is put together from parts, and the values to bind to it: what a filter narrows a list to (K32).
//!
//! Values are bound, never written into the text; what a filter means is told by whoever puts the statement together.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use crate::error::StoreError;
use crate::on;
use crate::tx::Tx;

/// What is bound to a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// An id.
    Id(Uuid),
    /// A number, or a time in microseconds.
    Number(i64),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// A statement that is being written.
#[derive(Debug, Clone)]
pub struct Statement {
    text: String,
    values: Vec<Value>,
}

impl Statement {
    /// Begins with a text of the program's own.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Goes on with a text of the program's own.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Keeps a value, and gives the parameter that stands for it.
    pub fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// The condition that a text begins with a prefix, letter by letter: no character has a meaning of its own.
    ///
    /// By bytes, whatever begins with the prefix stands between it and the prefix with the last character.
    pub fn begins_with(&mut self, column: &str, prefix: &str) -> String {
        let first = self.bind(prefix);
        let beyond = self.bind(format!("{prefix}\u{10ffff}"));
        format!("{column} >= {first} AND {column} < {beyond}")
    }

    /// The text, for tests that read its plan.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Runs it, and reads all rows.
    pub async fn fetch_all<R>(self, tx: &mut Tx) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let Self { text, values } = self;
        Ok(on!(tx, |c| {
            let query = sqlx::query_as(AssertSqlSafe(text));
            let bound = values.into_iter().fold(query, |query, value| match value {
                Value::Text(text) => query.bind(text),
                Value::Id(id) => query.bind(id),
                Value::Number(number) => query.bind(number),
            });
            bound.fetch_all(c).await
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bound_and_never_written() {
        let mut statement = Statement::new("SELECT 1 WHERE ");
        let hostile = "'; DROP TABLE change_log; --%_";
        let condition = statement.begins_with("name", hostile);
        statement.push(&condition);
        assert_eq!(statement.text(), "SELECT 1 WHERE name >= $1 AND name < $2");
        assert_eq!(statement.values[0], Value::Text(hostile.to_owned()));
    }
}
