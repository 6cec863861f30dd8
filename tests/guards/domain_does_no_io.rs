//! `domain/` is pure: facts, a command and now in, a decision out (S4).

use std::fs;
use std::path::{Path, PathBuf};

/// What a rule may not name.
const FORBIDDEN: &[&str] = &[
    "async ",
    ".await",
    "sqlx",
    "tonic",
    "tokio",
    "prost",
    "api::",
    "std::fs",
    "std::net",
    "std::env",
    "SystemTime",
    "Instant::now",
    "runtime::clock",
    "Db",
    "Tx",
];

pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn rules_name_nothing_that_reads_or_waits() {
    let mut violations = Vec::new();
    for service in ["directory-service", "identity-service", "subscription-service"] {
        let files = sources(&root().join("services").join(service).join("src/domain"));
        assert!(!files.is_empty(), "{service} has rules");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap();
                let words = FORBIDDEN.iter().filter(|word| {
                    let bare = word.chars().all(char::is_alphanumeric);
                    if bare {
                        code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == **word)
                    } else {
                        code.contains(**word)
                    }
                });
                violations.extend(words.map(|word| format!("{}:{}: {word}", file.display(), number + 1)));
            }
        }
    }
    // The failure of storage is a variant of the refusals; naming its type reads nothing.
    violations.retain(|violation| !violation.contains("refused.rs"));
    assert!(violations.is_empty(), "{violations:#?}");
}
