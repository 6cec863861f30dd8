//! who may reset whose password, and so end whose sessions.
//!
//! Whether a role may call an rpc at all is told by its permissions (K5); this says on whom it may.

use access::roles::GLOBAL_ADMINISTRATOR;
use kernel::{Principal, Timestamp};

use super::refused::Refused;
use super::standing::Standing;

/// What each role may reset, beside people without a role: those who hold nothing but these.
const RESETS: &[(&str, &[&str])] = &[
    ("password-administrator", &["directory-readers", "guest-inviter", "password-administrator"]),
    (
        "helpdesk-administrator",
        &[
            "directory-readers",
            "guest-inviter",
            "password-administrator",
            "message-center-reader",
            "reports-reader",
            "usage-summary-reports-reader",
            "user-experience-success-manager",
            "helpdesk-administrator",
        ],
    ),
    (
        "authentication-administrator",
        &[
            "directory-readers",
            "guest-inviter",
            "password-administrator",
            "message-center-reader",
            "reports-reader",
            "usage-summary-reports-reader",
            "user-experience-success-manager",
            "authentication-administrator",
        ],
    ),
    (
        "user-administrator",
        &[
            "directory-readers",
            "guest-inviter",
            "password-administrator",
            "message-center-reader",
            "reports-reader",
            "usage-summary-reports-reader",
            "user-experience-success-manager",
            "helpdesk-administrator",
            "groups-administrator",
            "user-administrator",
        ],
    ),
];
/// They may reset everybody's.
const RESET_ALL: [&str; 2] = [GLOBAL_ADMINISTRATOR, "privileged-authentication-administrator"];

/// Decides whether the sessions of `target` may be ended by somebody else: whoever may reset the password may.
pub(crate) fn may_end_sessions(
    own: Option<&Standing>,
    target: (Principal, Option<&Standing>),
    now: Timestamp,
) -> Result<(), Refused> {
    let (name, target) = target;
    let held: Vec<&str> = target.into_iter().flat_map(|target| target.held(now)).collect();
    if may_reset(own.into_iter().flat_map(|own| own.held(now)), &held) {
        Ok(())
    } else {
        Err(Refused::TargetMorePrivileged(name))
    }
}

/// Whether somebody with the roles `own` may reset the password of somebody with the roles `target`.
///
/// One of the own roles has to do for all of the target's: the strictest row wins.
fn may_reset<'a>(own: impl IntoIterator<Item = &'a str>, target: &[&str]) -> bool {
    let reaches = |own: &str| RESETS.iter().find(|(role, _)| *role == own).map(|(_, reached)| *reached);
    own.into_iter().any(|own| {
        RESET_ALL.contains(&own)
            || reaches(own).is_some_and(|reached| target.iter().all(|role| reached.contains(role)))
    })
}

#[cfg(test)]
mod tests {
    use access::roles;

    use super::*;

    /// The columns of R-20.
    const BY: [&str; 6] = [
        "password-administrator",
        "helpdesk-administrator",
        "authentication-administrator",
        "user-administrator",
        "privileged-authentication-administrator",
        GLOBAL_ADMINISTRATOR,
    ];

    /// Which columns may, in the order of [`BY`].
    fn row(target: &[&str]) -> String {
        BY.iter().map(|own| if may_reset([*own], target) { 'Y' } else { 'N' }).collect()
    }

    #[test]
    fn r20_the_matrix_is_that_of_the_rules() {
        assert_eq!(row(&[]), "YYYYYY");
        for (targets, expected) in [
            (&["directory-readers", "guest-inviter", "password-administrator"][..], "YYYYYY"),
            (
                &[
                    "message-center-reader",
                    "reports-reader",
                    "usage-summary-reports-reader",
                    "user-experience-success-manager",
                ],
                "NYYYYY",
            ),
            (&["helpdesk-administrator"], "NYNYYY"),
            (&["authentication-administrator"], "NNYNYY"),
            (&["groups-administrator", "user-administrator"], "NNNYYY"),
            (&[GLOBAL_ADMINISTRATOR], "NNNNYY"),
            (
                &[
                    "privileged-role-administrator",
                    "privileged-authentication-administrator",
                    roles::BILLING_ADMINISTRATOR,
                    roles::GLOBAL_READER,
                ],
                "NNNNYY",
            ),
        ] {
            for target in targets {
                assert!(roles::find(target).is_some(), "{target} is a role");
                assert_eq!(row(&[target]), expected, "{target}");
            }
        }
    }

    #[test]
    fn r20_the_strictest_row_of_a_target_wins() {
        assert_eq!(row(&["directory-readers", "helpdesk-administrator"]), "NYNYYY");
        assert_eq!(row(&["helpdesk-administrator", "authentication-administrator"]), "NNNNYY");
        assert_eq!(row(&["user-administrator", GLOBAL_ADMINISTRATOR]), "NNNNYY");
    }

    #[test]
    fn r20_one_role_has_to_do_for_all_of_a_target() {
        let both = ["helpdesk-administrator", "authentication-administrator"];
        assert!(may_reset(both, &["authentication-administrator"]));
        assert!(!may_reset(both, &both));
        assert!(!may_reset([], &[]) && !may_reset([roles::BILLING_ADMINISTRATOR], &[]));
    }
}
