//! Requests of `AuditService`, whichever package they are of, parsed at the edge (S2).

use database::audit::EventId;
use kernel::{DirectoryId, Parsed, Timestamp, Violations};

use crate::filter::{self, Allowed, Condition, FieldKind};
use crate::page_token::page_size;
use crate::wire::read_timestamp;

const DIRECTORY: &str = "directories/*";
const EVENT: &str = "directories/*/auditEvents/*";
/// Why the values are there once nothing was wrong.
const COMPLETE: &str = "a value is missing only where a violation was noted";

const FIELDS: &[Allowed] = &[
    Allowed { field: "actor", kind: FieldKind::Exact },
    Allowed { field: "action", kind: FieldKind::Exact },
    Allowed { field: "target", kind: FieldKind::Prefix },
    Allowed {
        field: "outcome",
        kind: FieldKind::Values(&[
            "OK",
            "PERMISSION_DENIED",
            "FAILED_PRECONDITION",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "ABORTED",
            "OUT_OF_RANGE",
            "RESOURCE_EXHAUSTED",
            "UNAUTHENTICATED",
        ]),
    },
];

/// `ListAuditEventsRequest` of whichever package.
#[derive(Debug, Clone, Default)]
pub struct ListAuditEvents {
    /// The directory's name.
    pub parent: String,
    /// The most entries.
    pub page_size: i32,
    /// The token of the page before.
    pub page_token: String,
    /// Not before.
    pub start_time: Option<prost_types::Timestamp>,
    /// Before.
    pub end_time: Option<prost_types::Timestamp>,
    /// Conditions.
    pub filter: String,
}

/// The list, parsed.
pub(super) struct List {
    pub(super) directory: DirectoryId,
    pub(super) size: i64,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) conditions: Vec<Condition>,
}

pub(super) fn list(request: &ListAuditEvents) -> Parsed<List> {
    let mut violations = Violations::new();
    let directory = violations.name("parent", &request.parent, DIRECTORY);
    let size = page_size(&mut violations, request.page_size);
    let from = time(&mut violations, "start_time", request.start_time, Timestamp::from_micros(i64::MIN));
    let until = time(&mut violations, "end_time", request.end_time, Timestamp::from_micros(i64::MAX));
    if from >= until {
        violations.add("end_time", "must be later than start_time");
    }
    let conditions = violations.finish_with(filter::parse(&request.filter, FIELDS))?;
    Ok(List { directory: directory.expect(COMPLETE), size: size.expect(COMPLETE), from, until, conditions })
}

pub(super) fn name(name: &str) -> Parsed<(DirectoryId, EventId)> {
    let mut violations = Violations::new();
    let ids = violations.nested_name("name", name, EVENT);
    violations.finish()?;
    Ok(ids.expect(COMPLETE))
}

/// A time, or `otherwise` where none is said.
fn time(
    violations: &mut Violations,
    field: &str,
    stamp: Option<prost_types::Timestamp>,
    otherwise: Timestamp,
) -> Timestamp {
    let Some(stamp) = stamp else { return otherwise };
    read_timestamp(stamp).unwrap_or_else(|| {
        violations.add(field, "is not a timestamp");
        otherwise
    })
}

#[cfg(test)]
mod tests {
    use database::refusals::CODES;
    use kernel::reason;
    use prost_types::Timestamp as Stamp;

    use super::*;

    #[test]
    fn every_recorded_code_can_be_filtered_by() {
        for code in CODES {
            let filter = format!("outcome = {}", code.as_str());
            assert!(filter::parse(&filter, FIELDS).is_ok(), "{filter}");
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_list_is_told_at_once() {
        let request = ListAuditEvents {
            parent: "directories/-".to_owned(),
            page_size: -1,
            start_time: Some(Stamp { seconds: i64::MAX, nanos: 0 }),
            filter: "peer = 1".to_owned(),
            ..ListAuditEvents::default()
        };
        let refusal = list(&request).err().unwrap();
        let mut fields: Vec<_> =
            refusal.violations().iter().map(|violation| violation.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["filter", "page_size", "parent", "start_time"]);
        assert_eq!(refusal.reason(), reason::FIELD_INVALID);
    }

    #[test]
    fn a_time_that_ends_before_it_begins_is_refused() {
        let at = |seconds| Some(Stamp { seconds, nanos: 0 });
        let request = ListAuditEvents {
            parent: "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6".to_owned(),
            start_time: at(2),
            end_time: at(2),
            ..ListAuditEvents::default()
        };
        assert_eq!(list(&request).err().unwrap().violations()[0].field, "end_time");
        assert!(list(&ListAuditEvents { end_time: at(3), ..request }).is_ok());
    }
}
