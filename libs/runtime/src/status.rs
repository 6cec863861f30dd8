//! The one place that turns a refusal into a `tonic::Status` with its details; it decides nothing about the refusal.

use std::collections::HashMap;

use access::Service;
use kernel::{Code, Refusal, reason};
use tonic::Status;
use tonic::metadata::MetadataValue;
use tonic_types::{
    BadRequest, ErrorDetail, ErrorInfo, FieldViolation, PreconditionFailure, PreconditionViolation,
    QuotaFailure, QuotaViolation, RequestInfo, ResourceInfo, RetryInfo, StatusExt as _,
};

use crate::normalise::current_request_id;

/// Longer texts are cut: a long one kills the stream in some clients.
const MOST_MESSAGE_BYTES: usize = 1024;
/// Details beyond this are dropped: with 16 KiB some clients see `RESOURCE_EXHAUSTED` in place of our code.
const MOST_DETAILS_BYTES: usize = 4 * 1024;
/// More wrong fields than these are not told one by one.
const MOST_VIOLATIONS: usize = 20;
/// Longer values of a single detail are cut.
const MOST_VALUE_BYTES: usize = 512;
/// The metadata key that says that something was left out.
const TRUNCATED: &str = "truncated";
/// Tells gRPC clients when to try again.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// The status of a service's refusal: `ErrorInfo` first, then at most one of each other detail.
pub fn status(service: Service, refusal: &Refusal) -> Status {
    status_in(service.error_domain(), refusal, current_request_id().as_deref())
}

/// As [`status`], for a domain that may belong to no service.
pub(crate) fn status_in(domain: &str, refusal: &Refusal, request_id: Option<&str>) -> Status {
    let mut details = vec![error_info(domain, refusal).into()];
    details.extend(bad_request(refusal));
    details.extend(about_subject(refusal));
    details.extend(refusal.retry_delay().map(|delay| RetryInfo::new(Some(delay)).into()));
    if refusal.code() == Code::ResourceExhausted {
        let subject = refusal.subject().unwrap_or_default();
        let violation = QuotaViolation::new(cut(subject), cut(refusal.message()));
        details.push(QuotaFailure::new(vec![violation]).into());
    }
    if let Some(request_id) = request_id.filter(|_| refusal.code() == Code::Internal) {
        details.push(RequestInfo::new(request_id, "").into());
    }
    let message = prefix(refusal.message(), MOST_MESSAGE_BYTES);
    let mut status = fitting(wire_code(refusal.code()), message, details);
    if let Some(delay) = refusal.retry_delay().filter(|_| refusal.reason() == reason::RATE_LIMITED) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        status.metadata_mut().insert(PUSHBACK, MetadataValue::from(millis));
    }
    status
}

/// The canonical code as tonic names it.
pub const fn wire_code(code: Code) -> tonic::Code {
    match code {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
        Code::NotFound => tonic::Code::NotFound,
        Code::AlreadyExists => tonic::Code::AlreadyExists,
        Code::PermissionDenied => tonic::Code::PermissionDenied,
        Code::ResourceExhausted => tonic::Code::ResourceExhausted,
        Code::FailedPrecondition => tonic::Code::FailedPrecondition,
        Code::Aborted => tonic::Code::Aborted,
        Code::OutOfRange => tonic::Code::OutOfRange,
        Code::Unimplemented => tonic::Code::Unimplemented,
        Code::Internal => tonic::Code::Internal,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
    }
}

fn error_info(domain: &str, refusal: &Refusal) -> ErrorInfo {
    let mut metadata: HashMap<String, String> = HashMap::new();
    let mut truncated =
        refusal.violations().len() > MOST_VIOLATIONS || refusal.blockers().len() > MOST_VIOLATIONS;
    for (key, value) in refusal.metadata() {
        truncated |= value.len() > MOST_VALUE_BYTES;
        metadata.insert((*key).to_owned(), cut(value));
    }
    if truncated {
        metadata.insert(TRUNCATED.to_owned(), "true".to_owned());
    }
    ErrorInfo::new(refusal.reason().as_str(), domain, metadata)
}

fn bad_request(refusal: &Refusal) -> Option<ErrorDetail> {
    if refusal.violations().is_empty() {
        return None;
    }
    let violations = refusal.violations().iter().take(MOST_VIOLATIONS).map(|violation| FieldViolation {
        field: cut(&violation.field),
        description: cut(&violation.description),
        reason: violation.reason.as_str().to_owned(),
        localized_message: None,
    });
    Some(BadRequest::new(violations.collect::<Vec<_>>()).into())
}

fn about_subject(refusal: &Refusal) -> Option<ErrorDetail> {
    if !refusal.blockers().is_empty() {
        let violations = refusal.blockers().iter().take(MOST_VIOLATIONS).map(|(subject, why)| {
            PreconditionViolation::new(refusal.reason().as_str(), cut(subject), cut(why))
        });
        return Some(PreconditionFailure::new(violations.collect::<Vec<_>>()).into());
    }
    let subject = cut(refusal.subject()?);
    let description = cut(refusal.message());
    if refusal.code() == Code::FailedPrecondition {
        let violation = PreconditionViolation::new(refusal.reason().as_str(), subject, description);
        return Some(PreconditionFailure::new(vec![violation]).into());
    }
    if matches!(refusal.code(), Code::NotFound | Code::AlreadyExists) {
        return Some(ResourceInfo::new(collection_of(&subject), subject, "", description).into());
    }
    None
}

/// The collection that a resource name ends in: `users` for `directories/1/users/2`.
fn collection_of(name: &str) -> String {
    name.rsplit('/').nth(1).unwrap_or_default().to_owned()
}

/// The status with as many details as fit, dropped from the end.
fn fitting(code: tonic::Code, message: &str, mut details: Vec<ErrorDetail>) -> Status {
    loop {
        let status = Status::with_error_details_vec(code, message, details.clone());
        if status.details().len() <= MOST_DETAILS_BYTES || !shorten(&mut details) {
            return status;
        }
        mark_truncated(&mut details);
    }
}

/// Takes the least important piece away; false when nothing is left that may go.
fn shorten(details: &mut Vec<ErrorDetail>) -> bool {
    if details.len() == 1 {
        let Some(ErrorDetail::ErrorInfo(info)) = details.first_mut() else { return false };
        let last = info.metadata.keys().filter(|key| *key != TRUNCATED).max().cloned();
        return last.and_then(|key| info.metadata.remove(&key)).is_some();
    }
    if let Some(ErrorDetail::BadRequest(bad_request)) = details.last_mut()
        && bad_request.field_violations.len() > 1
    {
        return bad_request.field_violations.pop().is_some();
    }
    if let Some(ErrorDetail::PreconditionFailure(failure)) = details.last_mut()
        && failure.violations.len() > 1
    {
        return failure.violations.pop().is_some();
    }
    details.pop().is_some()
}

fn mark_truncated(details: &mut [ErrorDetail]) {
    if let Some(ErrorDetail::ErrorInfo(info)) = details.first_mut() {
        info.metadata.insert(TRUNCATED.to_owned(), "true".to_owned());
    }
}

fn cut(text: &str) -> String {
    prefix(text, MOST_VALUE_BYTES).to_owned()
}

/// The longest prefix of at most `most` bytes that ends between characters.
fn prefix(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kernel::{FieldViolation as Wrong, Reason};

    use super::*;

    fn info(status: &Status) -> ErrorInfo {
        match status.get_error_details_vec().first() {
            Some(ErrorDetail::ErrorInfo(info)) => info.clone(),
            other => panic!("the first detail is {other:?}"),
        }
    }

    #[test]
    fn the_error_info_comes_first_and_says_it_all() {
        let refusal = Refusal::failed_precondition(Reason::new("SEATS_BELOW_ASSIGNED"), "too few")
            .with("assigned", 7)
            .about("subscriptions/1");
        let status = status(Service::Subscription, &refusal);
        assert_eq!(status.code(), tonic::Code::FailedPrecondition);
        assert_eq!(info(&status).reason, "SEATS_BELOW_ASSIGNED");
        assert_eq!(info(&status).domain, "subscription.tenure");
        assert_eq!(info(&status).metadata.get("assigned").unwrap(), "7");
        let failure = status.get_details_precondition_failure().unwrap();
        assert_eq!(failure.violations[0].r#type, "SEATS_BELOW_ASSIGNED");
        assert_eq!(failure.violations[0].subject, "subscriptions/1");
    }

    #[test]
    fn whatever_has_to_go_first_is_told_as_far_as_it_fits() {
        let blocked = |count: usize| {
            let refusal = Refusal::failed_precondition(Reason::new("LIEN_PRESENT"), "guarded");
            let why = "why ".repeat(100);
            let refusal =
                (0..count).fold(refusal, |refusal, n| refusal.blocked_by(format!("liens/{n}"), &why));
            status(Service::Directory, &refusal)
        };
        let few = blocked(2).get_details_precondition_failure().unwrap();
        let subjects: Vec<_> = few.violations.iter().map(|violation| violation.subject.as_str()).collect();
        assert_eq!(
            (subjects, few.violations[0].r#type.as_str()),
            (vec!["liens/0", "liens/1"], "LIEN_PRESENT")
        );
        assert!(!info(&blocked(2)).metadata.contains_key(TRUNCATED));
        let many = blocked(50);
        assert!(many.get_details_precondition_failure().unwrap().violations.len() > 2);
        assert!(info(&many).metadata.contains_key(TRUNCATED) && many.details().len() <= MOST_DETAILS_BYTES);
    }

    #[test]
    fn details_stay_small_whatever_is_refused() {
        let wrong = |n| Wrong {
            field: format!("users[{n}].{}", "f".repeat(400)),
            description: "wrong ".repeat(200),
            reason: reason::FIELD_INVALID,
        };
        let many = Refusal::invalid_fields((0..500).map(wrong).collect());
        let mut wide = Refusal::not_found(Reason::new("USER_NOT_FOUND"), "ü".repeat(5_000));
        for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] {
            wide = wide.with(key, "x".repeat(2_000));
        }
        for refusal in [many, wide] {
            let status = status(Service::Identity, &refusal);
            assert!(status.details().len() <= MOST_DETAILS_BYTES, "{}", status.details().len());
            assert!(status.message().len() <= MOST_MESSAGE_BYTES);
            assert_eq!(info(&status).metadata.get(TRUNCATED).unwrap(), "true");
        }
    }

    #[test]
    fn every_wrong_field_carries_its_reason() {
        let mut violations = kernel::Violations::new();
        violations.add("display_name", "must not be empty");
        violations.add_reason("seats", "too many", Reason::new("SEATS_OUTSIDE_OFFER"));
        let status = status(Service::Subscription, &violations.finish().unwrap_err());
        let bad_request = status.get_details_bad_request().unwrap();
        let reasons: Vec<_> =
            bad_request.field_violations.iter().map(|wrong| wrong.reason.as_str()).collect();
        assert_eq!(reasons, ["FIELD_INVALID", "SEATS_OUTSIDE_OFFER"]);
        assert!(!info(&status).metadata.contains_key(TRUNCATED));
    }

    #[test]
    fn time_heals_is_told_with_the_time() {
        let refusal = Refusal::new(Code::ResourceExhausted, reason::RATE_LIMITED, "too many sign-ups")
            .retry_after(Duration::from_millis(1_500));
        let status = status(Service::Identity, &refusal);
        assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "1500");
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_millis(1_500)));
        assert!(status.get_details_quota_failure().is_some());
    }

    #[test]
    fn a_defect_is_told_by_its_request_id_alone() {
        let status = status_in("tenure", &Refusal::internal(), Some("r-1"));
        assert_eq!(status.get_details_request_info().unwrap().request_id, "r-1");
        assert_eq!(status.message(), "internal error");
    }
}
