//! Both engines have the same tables and columns, and each table leads with the directory unless named here (K16).

use std::collections::BTreeMap;
use std::fs;

use crate::guards::domain_does_no_io::root;

type Schema = BTreeMap<String, Vec<String>>;

/// Tables and their columns, read from the migrations of one engine.
fn schema(engine: &str) -> Schema {
    let mut schema = Schema::new();
    let contexts = [
        "libs/database",
        "services/directory-service",
        "services/identity-service",
        "services/subscription-service",
    ];
    for context in contexts {
        let mut files: Vec<_> = fs::read_dir(root().join(context).join("migrations").join(engine))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            for statement in without_comments(&fs::read_to_string(file).unwrap()).split(';') {
                if let Some((table, columns)) = table_of(statement) {
                    schema.insert(format!("{context}: {table}"), columns);
                }
            }
        }
    }
    schema
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("--").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The table that a statement makes, with its columns in order.
fn table_of(statement: &str) -> Option<(String, Vec<String>)> {
    let lines =
        statement.lines().map(|line| line.split("--").next().unwrap().trim()).filter(|line| !line.is_empty());
    let text: Vec<_> = lines.collect();
    let text = text.join("\n");
    let rest = text.trim().strip_prefix("CREATE TABLE ")?;
    let (table, rest) = rest.split_once('(')?;
    let columns = rest
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .filter_map(|line| {
            let word = line.split_whitespace().next()?;
            word.chars()
                .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
                .then(|| word.to_owned())
        })
        .collect();
    Some((table.trim().to_owned(), columns))
}

#[test]
fn both_engines_have_the_same_tables_and_columns() {
    let (sqlite, postgres) = (schema("sqlite"), schema("postgres"));
    assert!(sqlite.len() > 15, "the migrations were read: {:?}", sqlite.keys());
    assert_eq!(sqlite, postgres);
}

#[test]
fn every_sqlite_table_is_strict() {
    let folders = [
        "libs/database",
        "services/directory-service",
        "services/identity-service",
        "services/subscription-service",
    ];
    for folder in folders {
        for entry in fs::read_dir(root().join(folder).join("migrations/sqlite")).unwrap() {
            let text = without_comments(&fs::read_to_string(entry.unwrap().path()).unwrap());
            for statement in text.split(';').filter(|statement| statement.contains("CREATE TABLE")) {
                assert!(statement.trim_end().ends_with("STRICT"), "{statement}");
            }
        }
    }
}
