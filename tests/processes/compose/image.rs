//! `services/Dockerfile`: what it copies is there, what it builds exists, with the toolchain that all else is built with.

use std::collections::BTreeSet;
use std::fs;

use super::file::{BINARIES, root};

/// Where it is, from the root.
pub(super) const DOCKERFILE: &str = "services/Dockerfile";

/// The instructions, comments left out and continued lines joined.
fn instructions() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(DOCKERFILE)).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    joined.lines().map(words).filter(|words| !words.is_empty()).collect()
}

fn of(keyword: &str) -> Vec<Vec<String>> {
    instructions().into_iter().filter(|words| words[0] == keyword).collect()
}

/// The ports that the image says it serves.
pub(super) fn exposed() -> Vec<String> {
    of("EXPOSE").concat().split_off(1)
}

/// The folders that the image's user owns.
pub(super) fn folders() -> Vec<String> {
    let made =
        of("RUN").concat().into_iter().filter_map(|word| word.strip_prefix("/folders").map(str::to_owned));
    made.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What is copied out of the project.
fn sources() -> BTreeSet<String> {
    let copies = of("COPY").into_iter().filter(|words| !words[1].starts_with("--from"));
    copies.flat_map(|words| words[1..words.len() - 1].to_vec()).collect()
}

#[test]
fn the_image_is_built_with_the_toolchain_of_everything_else() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let channel =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    assert_eq!(of("FROM")[0][1], format!("rust:{channel}-slim-bookworm"));
}

#[test]
fn what_is_copied_is_there_and_nothing_else_is_sent() {
    let sources = sources();
    for source in &sources {
        assert!(root().join(source).exists(), "{source}");
    }
    let ignore = fs::read_to_string(root().join(DOCKERFILE).with_extension("dockerignore")).unwrap();
    let mut rules = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"));
    let sent: BTreeSet<_> = rules.map(|rule| rule.strip_prefix('!').unwrap().to_owned()).collect();
    assert_eq!(sent, sources);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    for member in members.split('"').skip(1).step_by(2) {
        let top = member.split('/').next().unwrap();
        assert!(sources.contains(top), "the workspace wants {member}");
    }
}

/// Together with the tests they would be built with the fail points that these ask for.
#[test]
fn the_image_holds_the_four_binaries_built_without_the_tests() {
    let run = of("RUN").concat();
    let after = |flag: &str| {
        let at = run.iter().enumerate().filter(move |(_, word)| *word == flag).map(|(at, _)| at + 1);
        at.map(|at| run[at].clone()).collect::<Vec<_>>()
    };
    assert_eq!(after("--package"), BINARIES);
    assert!(!run.iter().any(|word| word == "--workspace" || word == "--all-features"));
    let built = run.iter().filter_map(|word| word.rsplit_once("/release/"));
    assert_eq!(built.map(|(_, name)| name).collect::<Vec<_>>(), BINARIES);
    for name in BINARIES {
        assert!(root().join("services").join(name).join("src/main.rs").exists(), "{name}");
    }
    let command = of("CMD").concat();
    assert_eq!(command[1], "[\"/tenure\",");
    assert_eq!(of("USER")[0][1], "65532:65532");
}
