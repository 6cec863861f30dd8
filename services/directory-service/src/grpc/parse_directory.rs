//! From messages about a directory's content and its life cycle to commands (S2).

use std::collections::{BTreeMap, BTreeSet};

use api::directory::v1::{
    self, DeleteDirectoryRequest, DirectorySettings, ErrorReason, UpdateDirectoryRequest,
};
use kernel::{DirectoryId, Etag, Parsed, Principal, Refusal, Violations};

use super::parse::{COMPLETE, DIRECTORY, MOST_DISPLAY_NAME};
use super::status::reason;
use crate::domain::directory::Settings;
use crate::domain::life_cycle::Turn;
use crate::domain::update::Changes;
use crate::use_cases::{DeleteDirectory, MoveDirectory, UpdateDirectory};

const MOST_LANGUAGE: usize = 35;
const MOST_LABELS: usize = 64;
const MOST_LABEL_TEXT: usize = 63;
const MOST_REASON: usize = 200;
const MOST_EXEMPTED: usize = 100;

/// The fields that can be changed, with the settings as four.
const PATHS: [&str; 7] =
    ["display_name", "language_code", "labels", MEMBERS_MAY_CREATE, MAY_LEAVE, MAY_ENTER, EXEMPTED];
const SETTINGS: &str = "settings";
const MEMBERS_MAY_CREATE: &str = "settings.members_may_create_subscriptions";
const MAY_LEAVE: &str = "settings.subscriptions_may_leave";
const MAY_ENTER: &str = "settings.subscriptions_may_enter";
const EXEMPTED: &str = "settings.exempted_principals";

pub(super) fn update_directory(message: UpdateDirectoryRequest) -> Parsed<UpdateDirectory> {
    let mut violations = Violations::new();
    violations.request_id(&message.request_id);
    // A missing one is told by its missing name.
    let directory = message.directory.unwrap_or_default();
    let id = violations.name("directory.name", &directory.name, DIRECTORY);
    let mask = mask(&mut violations, &message.update_mask.unwrap_or_default().paths);
    let wrong = mask.as_ref().err().cloned();
    let etag = Etag::received(directory.etag.clone());
    let changes = changes(&mut violations, id, directory, &mask.unwrap_or_default());
    violations.finish().map_err(|refusal| with_path(refusal, wrong))?;
    Ok(UpdateDirectory { directory: id.expect(COMPLETE), etag, changes })
}

pub(super) fn suspend(name: &str, why: &str, request_id: &str) -> Parsed<MoveDirectory> {
    moved_for(name, why, request_id, Turn::Suspend)
}

pub(super) fn resume(name: &str, why: &str, request_id: &str) -> Parsed<MoveDirectory> {
    moved_for(name, why, request_id, Turn::Resume)
}

pub(super) fn delete_directory(message: &DeleteDirectoryRequest) -> Parsed<DeleteDirectory> {
    let mut violations = Violations::new();
    let id = violations.name("name", &message.name, DIRECTORY);
    violations.request_id(&message.request_id);
    violations.finish()?;
    Ok(DeleteDirectory {
        directory: id.expect(COMPLETE),
        etag: Etag::received(message.etag.clone()),
        allow_missing: message.allow_missing,
    })
}

/// The settings of a directory that is being made: nobody is in it, so nobody is exempted.
pub(super) fn first_settings(violations: &mut Violations, said: &DirectorySettings) -> Option<Settings> {
    if !said.exempted_principals.is_empty() {
        violations.add("directory.settings.exempted_principals", "must be empty: there are no users yet");
        return None;
    }
    let default = Settings::default();
    Some(Settings {
        members_may_create_subscriptions: said
            .members_may_create_subscriptions
            .unwrap_or(default.members_may_create_subscriptions),
        subscriptions_may_leave: said.subscriptions_may_leave.unwrap_or(default.subscriptions_may_leave),
        subscriptions_may_enter: said.subscriptions_may_enter.unwrap_or(default.subscriptions_may_enter),
        exempted_principals: default.exempted_principals,
    })
}

/// A BCP 47 tag, or nothing said.
pub(super) fn language(violations: &mut Violations, text: &str) -> Option<String> {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_tag = text.len() <= MOST_LANGUAGE && text.split('-').all(part);
    if !text.is_empty() && !is_tag {
        let description = "must be a BCP 47 tag such as en-GB, of at most 35 characters";
        violations.add("directory.language_code", description);
        return None;
    }
    Some(text.to_owned())
}

/// At most 64 labels, each of which is right.
pub(super) fn labels(
    violations: &mut Violations,
    said: BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    let field = "directory.labels";
    if said.len() > MOST_LABELS {
        violations.add(field, format!("must have at most {MOST_LABELS} entries"));
        return None;
    }
    if !said.keys().all(|key| is_label_key(key)) {
        let description = "keys must have 1 to 63 of a-z, 0-9, _ and -, and begin with a letter";
        violations.add(field, description);
        return None;
    }
    let fit = said.values().all(|value| violations.optional_text(field, value, MOST_LABEL_TEXT).is_some());
    fit.then_some(said)
}

fn is_label_key(key: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    key.len() <= MOST_LABEL_TEXT
        && key.bytes().all(allowed)
        && key.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
}

fn moved_for(
    name: &str,
    why: &str,
    request_id: &str,
    turn: impl FnOnce(String) -> Turn,
) -> Parsed<MoveDirectory> {
    let mut violations = Violations::new();
    let id = violations.name("name", name, DIRECTORY);
    let why = violations.display_text("reason", why, MOST_REASON);
    violations.request_id(request_id);
    violations.finish()?;
    Ok(MoveDirectory { directory: id.expect(COMPLETE), etag: None, turn: turn(why.expect(COMPLETE)) })
}

/// What the mask names, with `settings` as all of them; or the first path that it must not have.
fn mask(violations: &mut Violations, paths: &[String]) -> Result<BTreeSet<&'static str>, String> {
    let mut named = BTreeSet::new();
    let wrong = paths.iter().find(|path| *path != SETTINGS && !PATHS.contains(&path.as_str()));
    if let Some(path) = wrong.cloned().or_else(|| paths.is_empty().then(String::new)) {
        let description =
            format!("must name at least one of {SETTINGS}, {}, and nothing else", PATHS.join(", "));
        violations.add_reason("update_mask", description, reason(ErrorReason::UpdateMaskInvalid));
        return Err(path.chars().take(MOST_REASON).collect());
    }
    for path in paths {
        let below =
            |field: &&&str| field.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'));
        named.extend(PATHS.iter().filter(|field| **field == path || below(field)).copied());
    }
    Ok(named)
}

/// Tells the path that the mask must not have, where that is what is wrong.
fn with_path(refusal: Refusal, wrong: Option<String>) -> Refusal {
    match wrong {
        Some(path) if refusal.reason() == reason(ErrorReason::UpdateMaskInvalid) => {
            refusal.with("path", path)
        }
        _ => refusal,
    }
}

fn changes(
    violations: &mut Violations,
    id: Option<DirectoryId>,
    said: v1::Directory,
    mask: &BTreeSet<&'static str>,
) -> Changes {
    let (settings, default) = (said.settings.unwrap_or_default(), Settings::default());
    let mut changes = Changes::default();
    if mask.contains("display_name") {
        changes.display_name =
            violations.display_text("directory.display_name", &said.display_name, MOST_DISPLAY_NAME);
    }
    if mask.contains("language_code") {
        changes.language_code = language(violations, &said.language_code);
    }
    if mask.contains("labels") {
        changes.labels = labels(violations, said.labels);
    }
    let wanted = |path, said: Option<bool>, default| mask.contains(path).then(|| said.unwrap_or(default));
    let (members, default_members) =
        (settings.members_may_create_subscriptions, default.members_may_create_subscriptions);
    changes.members_may_create_subscriptions = wanted(MEMBERS_MAY_CREATE, members, default_members);
    changes.subscriptions_may_leave =
        wanted(MAY_LEAVE, settings.subscriptions_may_leave, default.subscriptions_may_leave);
    changes.subscriptions_may_enter =
        wanted(MAY_ENTER, settings.subscriptions_may_enter, default.subscriptions_may_enter);
    if mask.contains(EXEMPTED) {
        changes.exempted_principals = exempted(violations, id, &settings.exempted_principals);
    }
    changes
}

/// M-20: users of the directory itself.
fn exempted(
    violations: &mut Violations,
    directory: Option<DirectoryId>,
    names: &[String],
) -> Option<BTreeSet<Principal>> {
    let field = "directory.settings.exempted_principals";
    let read = |name: &String| {
        let principal: Principal = name.parse().ok()?;
        // A wrong name of the directory is told already.
        let here = principal.user().is_some() && directory.is_none_or(|id| principal.directory() == id);
        here.then_some(principal)
    };
    let principals: Option<BTreeSet<Principal>> = names.iter().map(read).collect();
    match principals {
        Some(principals) if principals.len() == names.len() && names.len() <= MOST_EXEMPTED => {
            Some(principals)
        }
        _ => {
            let description = format!("must be at most {MOST_EXEMPTED} users of this directory, each once");
            violations.add(field, description);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::new_ids;
    use prost_types::FieldMask;

    use super::*;

    const NAME: &str = "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";

    fn update(directory: v1::Directory, paths: &[&str]) -> Parsed<UpdateDirectory> {
        let paths = paths.iter().map(ToString::to_string).collect();
        update_directory(UpdateDirectoryRequest {
            directory: Some(v1::Directory { name: NAME.to_owned(), ..directory }),
            update_mask: Some(FieldMask { paths }),
            request_id: String::new(),
        })
    }

    fn wrong_fields(parsed: Parsed<UpdateDirectory>) -> Vec<String> {
        let refusal = parsed.unwrap_err();
        refusal.violations().iter().map(|violation| violation.field.clone()).collect()
    }

    #[test]
    fn a_mask_names_what_can_be_changed_and_something() {
        // Attack 4: protected fields are not changed through the mask.
        let bad =
            ["", "*", "state", "name", "region_code", "agreement_type", "etag", "settings.", "labels.a"];
        for path in bad {
            let refusal = update(v1::Directory::default(), &["language_code", path]).unwrap_err();
            assert_eq!(refusal.reason().as_str(), "UPDATE_MASK_INVALID", "{path:?}");
            assert_eq!(refusal.metadata(), [("path", path.to_owned())]);
        }
        let none = update(v1::Directory::default(), &[]).unwrap_err();
        assert_eq!(none.reason().as_str(), "UPDATE_MASK_INVALID");
    }

    #[test]
    fn only_what_the_mask_names_is_read() {
        let said = v1::Directory { display_name: "\u{202e}".to_owned(), ..v1::Directory::default() };
        let read = update(said, &["language_code"]).unwrap();
        assert_eq!(read.changes, Changes { language_code: Some(String::new()), ..Changes::default() });
    }

    #[test]
    fn the_settings_as_a_whole_are_each_of_them_and_what_is_not_said_is_the_default() {
        let settings = DirectorySettings { subscriptions_may_leave: Some(false), ..Default::default() };
        let said = v1::Directory { settings: Some(settings), ..v1::Directory::default() };
        let read = update(said, &["settings", "settings.subscriptions_may_leave"]).unwrap();
        let changes = Changes {
            members_may_create_subscriptions: Some(true),
            subscriptions_may_leave: Some(false),
            subscriptions_may_enter: Some(true),
            exempted_principals: Some(BTreeSet::new()),
            ..Changes::default()
        };
        assert_eq!(read.changes, changes);
    }

    #[test]
    fn labels_are_few_and_short() {
        let labelled = |pairs: Vec<(String, String)>| {
            let labels = pairs.into_iter().collect();
            update(v1::Directory { labels, ..v1::Directory::default() }, &["labels"])
        };
        let many = |count: usize| (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect();
        assert!(labelled(many(64)).is_ok());
        let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert!(labelled(one(&"k".repeat(63), &"v".repeat(63))).is_ok() && labelled(one("a", "")).is_ok());
        for bad in [
            many(65),
            one("", "v"),
            one("1a", "v"),
            one("A", "v"),
            one("ä", "v"),
            one(&"k".repeat(64), "v"),
            one("k", &"v".repeat(64)),
            one("k", "a\nb"),
        ] {
            assert_eq!(wrong_fields(labelled(bad)), ["directory.labels"]);
        }
    }

    #[test]
    fn m_20_the_exempted_are_users_of_this_directory_each_once() {
        let user = |directory: &str, n: usize| {
            format!("{directory}/users/{}", new_ids::derive(&["user", &n.to_string()]))
        };
        let exempt = |exempted_principals: Vec<String>| {
            let settings = Some(DirectorySettings { exempted_principals, ..Default::default() });
            update(v1::Directory { settings, ..v1::Directory::default() }, &[EXEMPTED])
        };
        assert_eq!(exempt(vec![]).unwrap().changes.exempted_principals, Some(BTreeSet::new()));
        let hundred: Vec<_> = (0..100).map(|n| user(NAME, n)).collect();
        assert!(exempt(hundred.clone()).is_ok());
        let elsewhere = "directories/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
        let account = user(NAME, 1).replace("users", "serviceAccounts");
        for bad in [
            [hundred, vec![user(NAME, 100)]].concat(),
            vec![user(NAME, 1), user(NAME, 1)],
            vec![user(elsewhere, 1)],
            vec![account],
            vec!["ada".to_owned()],
        ] {
            assert_eq!(wrong_fields(exempt(bad)), ["directory.settings.exempted_principals"]);
        }
    }

    #[test]
    fn whoever_suspends_and_resumes_says_why() {
        for bad in ["", " ", &"x".repeat(201)] {
            assert!(suspend(NAME, bad, "").is_err() && resume(NAME, bad, "").is_err());
        }
        assert_eq!(suspend(NAME, "unpaid", "").unwrap().turn, Turn::Suspend("unpaid".to_owned()));
    }
}
