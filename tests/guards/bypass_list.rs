//! Everything that writes without a caller's right, listed with its reason; the list may only shrink.

use std::collections::BTreeSet;
use std::fs;

use crate::guards::domain_does_no_io::{root, sources};

/// Where rows are written that no right guards, or a permit is minted that nobody asked for.
const LISTED: &[&str] = &[];

fn found() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["libs/database/src", "services"] {
        for file in sources(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(root()).unwrap().display().to_string();
            if name.contains("/tests/") || name == "libs/database/src/tx.rs" {
                continue;
            }
            let code = text.split("#[cfg(test)]").next().unwrap();
            for mark in ["for_worker(", "for_newcomer(", "commit_bookkeeping()"] {
                if code.contains(mark) {
                    found.insert(format!("{name}: {}", mark.trim_end_matches(['(', ')'])));
                }
            }
        }
    }
    found
}

#[test]
fn nothing_writes_without_a_right_but_what_is_listed() {
    let listed: BTreeSet<String> = LISTED.iter().map(ToString::to_string).collect();
    let found = found();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "not listed: {new:#?}\nlisted, but gone: {gone:#?}");
}
