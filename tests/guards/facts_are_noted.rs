//! Whatever writes the facts that identity remembers notes their directory, so that no decision outlives them (P-12).

use std::collections::BTreeSet;
use std::fs;

use crate::guards::domain_does_no_io::{root, sources};

/// The tables that `store/standing.rs` reads, and the decision table remembers.
const TABLES: &[&str] = &["directory_states", "role_assignments", "sessions", "users"];

/// What writes these tables and changes no fact that is remembered.
const LISTED: &[&str] = &[
    // Locks the guard row of P-4; its counter is read by nobody.
    "store/directories.rs: lock_admins",
    // A session, or a person, that is not there is not remembered as absent.
    "store/sessions.rs: insert",
    // Locks the row and leaves it as it is.
    "store/sessions.rs: lock",
    // Removes sessions that are refused already, by the clock or as revoked.
    "store/sessions.rs: sweep",
    // As of new sessions.
    "store/users.rs: insert",
    // When somebody signed in is no fact of a decision.
    "store/users.rs: note_sign_in",
];

/// The functions of a source, and whatever else stands between them, each with its name.
fn items(text: &str) -> Vec<(String, String)> {
    let mut items = vec![("the beginning".to_owned(), String::new())];
    for line in text.lines().map(|line| line.split("//").next().unwrap()) {
        let words: Vec<_> = line.split([' ', '(', '<', ':']).filter(|word| !word.is_empty()).collect();
        let function = words.iter().take(5).position(|word| *word == "fn");
        if let Some(name) = function.and_then(|at| words.get(at + 1)) {
            items.push(((*name).to_owned(), String::new()));
        } else if line.starts_with(|letter: char| letter.is_alphabetic()) {
            items.push((words.join(" "), String::new()));
        }
        let (_, body) = items.last_mut().unwrap();
        body.push_str(line);
        body.push('\n');
    }
    items
}

/// Whether SQL in it writes one of the tables, or one whose name it does not spell out.
fn writes(body: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '{';
    let words: Vec<_> = body.split(|letter| !part(letter)).filter(|word| !word.is_empty()).collect();
    let named = |word: &str| word.starts_with('{') || TABLES.contains(&word);
    words.windows(3).any(|words| match words {
        ["INSERT", "INTO", table] | ["DELETE", "FROM", table] | ["UPDATE" | "table", table, _] => {
            named(table)
        }
        _ => false,
    })
}

#[test]
fn whoever_writes_what_is_remembered_notes_its_directory() {
    let folder = root().join("services/identity-service/src");
    let (mut writers, mut unnoted) = (0, BTreeSet::new());
    for file in sources(&folder) {
        let name = file.strip_prefix(&folder).unwrap().display().to_string();
        if name.starts_with("tests/") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod").next().unwrap();
        for (item, body) in items(code).into_iter().filter(|(_, body)| writes(body)) {
            writers += 1;
            if !body.contains("tx.note(") {
                unnoted.insert(format!("{name}: {item}"));
            }
        }
    }
    assert!(writers > 10, "the statements were found: {writers}");
    let listed = LISTED.iter().map(ToString::to_string).collect();
    assert_eq!(unnoted, listed, "found without `tx.note`, and listed");
}
