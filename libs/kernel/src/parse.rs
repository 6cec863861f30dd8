//! Parsing at the edge (S2): all violations of a request at once; rules that need state stand in `domain/`.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::ids::parse_uuid;
use crate::reason::{self, Reason};
use crate::refusal::{FieldViolation, Refusal};

/// A parsed request, or everything that is wrong with it.
pub type Parsed<T> = Result<T, Refusal>;

/// Two parts of a request that were parsed by themselves: what is wrong with both is told at once.
pub fn both<A, B>(first: Parsed<A>, second: Parsed<B>) -> Parsed<(A, B)> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(refusal), Ok(_)) | (Ok(_), Err(refusal)) => Err(refusal),
        (Err(first), Err(second)) => {
            let all = first.violations().iter().chain(second.violations()).cloned().collect();
            Err(Refusal::invalid_fields(all))
        }
    }
}

/// The client's name for one intent; a retry carries the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// The UUID inside.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// A request id that one of our own processes derives for a call to a peer (K40).
    pub const fn derived(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Collects what is wrong with a request, field by field.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a wrong field.
    pub fn add(&mut self, field: &str, description: impl Into<String>) {
        self.add_reason(field, description, reason::FIELD_INVALID);
    }

    /// Notes a wrong field with a reason of its own.
    pub fn add_reason(&mut self, field: &str, description: impl Into<String>, reason: Reason) {
        self.0.push(FieldViolation { field: field.to_owned(), description: description.into(), reason });
    }

    /// Keeps a value, or notes why the field is wrong.
    pub fn take<T, E: fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// Reads an id or another value from text.
    pub fn text<T: FromStr<Err: fmt::Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        self.take(field, text.parse())
    }

    /// Reads `request_id`: empty means none; otherwise a lower-case UUID other than nil (K7).
    pub fn request_id(&mut self, text: &str) -> Option<RequestId> {
        if text.is_empty() {
            return None;
        }
        self.take("request_id", parse_uuid(text)).map(RequestId)
    }

    /// Reads a required `request_id`.
    pub fn required_request_id(&mut self, text: &str) -> Option<RequestId> {
        self.take("request_id", parse_uuid(text)).map(RequestId)
    }

    /// Reads the single id of a resource name such as `directories/{id}`, given its pattern with `*` for the id.
    pub fn name<T: FromStr>(&mut self, field: &str, text: &str, pattern: &str) -> Option<T> {
        let ids = match_name(text, pattern);
        let id = ids.as_deref().and_then(|ids| ids.first()).and_then(|id| id.parse().ok());
        self.expect_name(field, pattern, id)
    }

    /// Reads both ids of a resource name such as `directories/{id}/users/{id}`.
    pub fn nested_name<A: FromStr, B: FromStr>(
        &mut self,
        field: &str,
        text: &str,
        pattern: &str,
    ) -> Option<(A, B)> {
        let ids = match_name(text, pattern).unwrap_or_default();
        let both = match ids.as_slice() {
            [first, second] => first.parse().ok().zip(second.parse().ok()),
            _ => None,
        };
        self.expect_name(field, pattern, both)
    }

    /// Refuses texts longer than `most` characters (AIP-210: characters, not bytes), empty ones and control characters.
    pub fn display_text(&mut self, field: &str, text: &str, most: usize) -> Option<String> {
        if text.chars().all(is_invisible) {
            self.add(field, "must not be empty");
            return None;
        }
        self.optional_text(field, text, most)
    }

    /// As [`Self::display_text`], where empty is an answer too.
    pub fn optional_text(&mut self, field: &str, text: &str, most: usize) -> Option<String> {
        if text.chars().count() > most {
            self.add(field, format!("must have at most {most} characters"));
            return None;
        }
        if text.chars().any(|c| c.is_control() || turns_direction(c)) {
            self.add(field, "must not contain control characters");
            return None;
        }
        Some(text.to_owned())
    }

    /// Ends the collection: nothing wrong, or everything that was.
    pub fn finish(self) -> Parsed<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::invalid_fields(self.0)) }
    }

    /// Ends the collection together with a part of the request that was parsed by itself, such as a filter: what is
    /// wrong with either is told at once, and what is wrong with that part alone as it tells it.
    pub fn finish_with<T>(self, parsed: Parsed<T>) -> Parsed<T> {
        both(self.finish(), parsed).map(|((), part)| part)
    }

    fn expect_name<T>(&mut self, field: &str, pattern: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(field, format!("must have the form {pattern}"));
        }
        value
    }
}

/// Characters that turn the direction of what follows, by which one name is shown as another (attack 15).
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Blanks, and characters without width.
fn is_invisible(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// The parts of `text` that stand where `pattern` has `*`, if it matches in every other part.
fn match_name<'a>(text: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    let mut ids = Vec::new();
    let mut parts = text.split('/');
    for wanted in pattern.split('/') {
        let part = parts.next()?;
        if wanted == "*" {
            ids.push(part);
        } else if part != wanted {
            return None;
        }
    }
    parts.next().is_none().then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DirectoryId, UserId};

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let mut violations = Violations::new();
        violations.request_id("nonsense");
        violations.name::<DirectoryId>("parent", "directories/x", "directories/*");
        violations.display_text("display_name", "  ", 256);
        let refusal = violations.finish().unwrap_err();
        let fields: Vec<_> = refusal.violations().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["request_id", "parent", "display_name"]);
        assert_eq!(refusal.reason(), reason::FIELD_INVALID);
    }

    #[test]
    fn the_nil_request_id_is_refused() {
        let mut violations = Violations::new();
        assert_eq!(violations.request_id(&Uuid::nil().to_string()), None);
        assert!(violations.finish().is_err());
    }

    #[test]
    fn a_name_that_is_shown_is_visible_and_reads_one_way() {
        for bad in ["", " \u{200b}", "\u{feff}", "Ada\u{202e}nimdA", "Ada\n", "\u{2066}Ada"] {
            assert_eq!(Violations::new().display_text("display_name", bad, 256), None, "{bad:?}");
        }
        assert!(Violations::new().display_text("display_name", "Zoë 李 👩\u{200d}🔧", 256).is_some());
    }

    #[test]
    fn nested_names_give_both_ids() {
        let (directory, user) =
            ("1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6", "2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6");
        let mut violations = Violations::new();
        let name = format!("directories/{directory}/users/{user}");
        let ids: Option<(DirectoryId, UserId)> =
            violations.nested_name("name", &name, "directories/*/users/*");
        assert_eq!(ids.unwrap().1.to_string(), user);
        assert!(
            violations
                .nested_name::<DirectoryId, UserId>("name", &format!("{name}/"), "directories/*/users/*")
                .is_none()
        );
    }
}
