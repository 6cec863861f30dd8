//! What a directory's administrators change; its state is no part of it.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Principal, Timestamp};

use super::directory::{Directory, Step};
use super::refused::Refused;

/// What an administrator changes; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The organisation's name.
    pub display_name: Option<String>,
    /// A language tag, or empty.
    pub language_code: Option<String>,
    /// All labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether members may sign up for Azure.
    pub members_may_create_subscriptions: Option<bool>,
    /// Whether subscriptions may leave.
    pub subscriptions_may_leave: Option<bool>,
    /// Whether subscriptions may enter.
    pub subscriptions_may_enter: Option<bool>,
    /// All exempted principals.
    pub exempted_principals: Option<BTreeSet<Principal>>,
}

impl Directory {
    /// Changes what its administrators decide; the paths of what changed come with it.
    pub(crate) fn update(
        &self,
        changes: Changes,
        now: Timestamp,
    ) -> Result<(Step, Vec<&'static str>), Refused> {
        self.require_active()?;
        let mut after = self.clone();
        let mut paths = Vec::new();
        take(&mut paths, "display_name", &mut after.display_name, changes.display_name);
        take(&mut paths, "language_code", &mut after.language_code, changes.language_code);
        take(&mut paths, "labels", &mut after.labels, changes.labels);
        let settings = &mut after.settings;
        take(
            &mut paths,
            "settings.members_may_create_subscriptions",
            &mut settings.members_may_create_subscriptions,
            changes.members_may_create_subscriptions,
        );
        let (path, value) = ("settings.subscriptions_may_leave", changes.subscriptions_may_leave);
        take(&mut paths, path, &mut settings.subscriptions_may_leave, value);
        let (path, value) = ("settings.subscriptions_may_enter", changes.subscriptions_may_enter);
        take(&mut paths, path, &mut settings.subscriptions_may_enter, value);
        let (path, value) = ("settings.exempted_principals", changes.exempted_principals);
        take(&mut paths, path, &mut settings.exempted_principals, value);
        if paths.is_empty() {
            return Ok((Step::AlreadyTaken, paths));
        }
        Ok((Step::Changed(after.moved_to(self.state, now)), paths))
    }
}

/// Takes a new value over, and notes its path where it is another one.
fn take<T: PartialEq>(
    changed: &mut Vec<&'static str>,
    path: &'static str,
    present: &mut T,
    wanted: Option<T>,
) {
    if let Some(wanted) = wanted.filter(|wanted| wanted != present) {
        *present = wanted;
        changed.push(path);
    }
}

#[cfg(test)]
mod tests {
    use kernel::{DirectoryId, new_ids};

    use super::*;
    use crate::domain::directory::{Settings, State, contoso};

    const NOW: Timestamp = Timestamp::from_seconds(1_768_478_400);
    const LATER: Timestamp = Timestamp::from_seconds(1_768_478_460);

    fn active() -> Directory {
        let id = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
        match Directory::provision(id, contoso("contoso"), NOW).activate(NOW).unwrap() {
            Step::Changed(directory) => directory,
            Step::AlreadyTaken => panic!("nothing changed"),
        }
    }

    #[test]
    fn an_update_changes_what_is_named_and_nothing_else() {
        let active = active();
        let changes = Changes {
            display_name: Some("Contoso Ltd".to_owned()),
            subscriptions_may_leave: Some(false),
            subscriptions_may_enter: Some(true),
            ..Changes::default()
        };
        let (step, paths) = active.update(changes.clone(), LATER).unwrap();
        let Step::Changed(after) = step else { panic!("nothing changed") };
        assert_eq!(paths, ["display_name", "settings.subscriptions_may_leave"]);
        let settings = Settings { subscriptions_may_leave: false, ..Settings::default() };
        let display_name = "Contoso Ltd".to_owned();
        assert_eq!(after, Directory { display_name, settings, update_time: LATER, revision: 3, ..active });
        assert_eq!(after.update(changes, LATER).unwrap(), (Step::AlreadyTaken, vec![]));
    }

    #[test]
    fn only_an_active_directory_is_updated() {
        for state in State::ALL.into_iter().filter(|state| *state != State::Active) {
            let refused = Directory { state, ..active() }.update(Changes::default(), LATER).unwrap_err();
            assert!(matches!(refused, Refused::DirectoryNotActive { state: told, .. } if told == state));
        }
    }
}
