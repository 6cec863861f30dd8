//! Everything that writes without a caller's right, listed with its reason; the list may only shrink.

use std::collections::BTreeSet;
use std::fs;

use crate::guards::domain_does_no_io::{root, sources};

/// Where rows are written that no right guards, or a permit is minted that nobody asked for.
const LISTED: &[&str] = &[
    // The halves of liens: what relies on them is guarded by the permit of its own transaction (K11).
    "libs/database/src/hold.rs: commit_bookkeeping",
    // The refusal itself is what is written (K15).
    "libs/database/src/refusals.rs: commit_bookkeeping",
    // Positions and seals of what others have committed (K13).
    "libs/database/src/sequencer.rs: commit_bookkeeping",
    // Rows whose time is over: records, sessions, sign-ups, throttles.
    "libs/database/src/sweep.rs: commit_bookkeeping",
    // Letting go of a hold on a domain that no name has any more (K11).
    "services/identity-service/src/use_cases/domain_holds.rs: commit_bookkeeping",
    // Giving up what a refused attempt of a sign-up may have made (K18).
    "services/identity-service/src/use_cases/end_sign_up.rs: commit_bookkeeping",
    // Keys that identity signs with; nobody asks for them (K21).
    "services/identity-service/src/signing_keys.rs: commit_bookkeeping",
    // The refresh token is the right (K22).
    "services/identity-service/src/use_cases/refresh_session.rs: commit_bookkeeping",
    "services/identity-service/src/use_cases/refresh_session.rs: for_newcomer",
    // The password is the right.
    "services/identity-service/src/use_cases/sign_in.rs: commit_bookkeeping",
    "services/identity-service/src/use_cases/sign_in.rs: for_newcomer",
    // The first user of a directory, made before there is anybody who could allow it (D-01).
    "services/identity-service/src/use_cases/sign_up.rs: commit_bookkeeping",
    "services/identity-service/src/use_cases/sign_up.rs: for_newcomer",
    // Sweeps.
    "services/identity-service/src/workers/mod.rs: commit_bookkeeping",
    // Letting go of a hold under which nothing is left (K11).
    "services/subscription-service/src/use_cases/holds.rs: commit_bookkeeping",
];

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
