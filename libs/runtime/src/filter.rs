//! Filters of List methods: AND of `=` and `!=` on the fields that a method allows, prefixes on some (K32).
//!
//! What comes out are conditions to be bound to a statement; no SQL is built here, and none from a filter's text.

mod places;

use aip_160::{Arg, Comparable, Comparator, Expression, FilterError, Member, Restriction, Value};
use kernel::{FieldViolation, Refusal, reason};
use unicode_normalization::UnicodeNormalization as _;

use places::{Place, places, unquoted};

/// The longest filter, in bytes (attack 31).
const MOST_BYTES: usize = 1024;
/// The most conditions; each becomes a part of the statement.
const MOST_CONDITIONS: usize = 16;

/// How a field may be asked for.
#[derive(Debug, Clone, Copy)]
pub enum FieldKind {
    /// Equal or not.
    Exact,
    /// Equal only, to a value of one form, such as a resource name.
    Equals {
        /// The form as a person is told it: "must ...".
        form: &'static str,
        /// Whether a value has the form.
        fits: fn(&str) -> bool,
    },
    /// Equal, not equal, or beginning with what stands before a final `*`.
    Prefix,
    /// One of these names, as an enum has them.
    Values(&'static [&'static str]),
}

/// A field that a method allows in its filter.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// The field as it stands in the filter.
    pub field: &'static str,
    /// How it may be asked for.
    pub kind: FieldKind,
}

/// What a condition asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The field is the value.
    Equals,
    /// The field is not the value.
    NotEquals,
    /// The field begins with the value, letter by letter: `%` and `_` mean themselves.
    HasPrefix,
}

/// One condition; all of a filter must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The field, one of those allowed.
    pub field: &'static str,
    /// What is asked.
    pub operator: Operator,
    /// The value: plain text, whatever it contains. It is not folded yet.
    pub value: String,
}

/// Reads a filter; an empty one has no conditions.
///
/// A value is quoted, or a bare word of letters, digits, `-`, `_`, `/`, `@`, `.` and their like: `owner = users/me`.
/// Parentheses, OR, NOT, `:`, comparisons by order, functions and two conditions without AND are not offered, nor is
/// the same field twice with `=`. A value may end in `*` only where the field has prefixes, and never begin with it.
pub fn parse(text: &str, allowed: &'static [Allowed]) -> Result<Vec<Condition>, Refusal> {
    if text.len() > MOST_BYTES {
        return Err(Wrong::at(MOST_BYTES, format!("must have at most {MOST_BYTES} bytes")).refusal());
    }
    read(text, allowed).map_err(Wrong::refusal)
}

/// The form in which names are compared and ordered: NFC, lower case (K32, attack 15).
///
/// Letter by letter, so that the fold of a beginning is the beginning of the fold; a final sigma is a sigma.
pub fn folded(text: &str) -> String {
    text.nfc()
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == 'ς' { 'σ' } else { letter })
        .nfc()
        .collect()
}

/// What is wrong with a filter, and at which byte.
struct Wrong {
    position: usize,
    cause: String,
}

impl Wrong {
    fn at(position: usize, cause: impl Into<String>) -> Self {
        Self { position, cause: cause.into() }
    }

    fn refusal(self) -> Refusal {
        Refusal::invalid_fields(vec![FieldViolation {
            field: "filter".to_owned(),
            description: format!("at byte {}: {}", self.position, self.cause),
            reason: reason::FILTER_INVALID,
        }])
        .with("position", self.position)
        .with("cause", self.cause)
    }
}

fn read(text: &str, allowed: &'static [Allowed]) -> Result<Vec<Condition>, Wrong> {
    // Depth 0: no parenthesis and no function, so nothing nests and nothing recurses.
    let filter = aip_160::parse_filter_with_max_depth(text, 0).map_err(|error| not_read(text, error))?;
    let conjuncts = match filter.expression {
        None => return Ok(Vec::new()),
        Some(Expression::And(conjuncts)) => conjuncts,
        Some(only) => vec![only],
    };
    let places = places(text);
    let mut conditions: Vec<Condition> = Vec::new();
    for (index, conjunct) in conjuncts.into_iter().enumerate() {
        let place = places.get(index).copied().unwrap_or_default();
        if index == MOST_CONDITIONS {
            return Err(Wrong::at(place.field, format!("must have at most {MOST_CONDITIONS} conditions")));
        }
        let condition = condition(conjunct, place, allowed)?;
        let repeats =
            |other: &Condition| other.field == condition.field && other.operator != Operator::NotEquals;
        if condition.operator != Operator::NotEquals && conditions.iter().any(repeats) {
            return Err(Wrong::at(place.field, format!("{} is already given", condition.field)));
        }
        conditions.push(condition);
    }
    Ok(conditions)
}

fn condition(conjunct: Expression, place: Place, allowed: &'static [Allowed]) -> Result<Condition, Wrong> {
    let restriction = match conjunct {
        Expression::Restriction(restriction) => restriction,
        Expression::Or(_) => return Err(Wrong::at(place.field, "OR is not offered")),
        Expression::Not(_) => return Err(Wrong::at(place.field, "NOT is not offered; write !=")),
        Expression::Sequence(_) => return Err(Wrong::at(place.field, "conditions are joined by AND")),
        Expression::And(_) => return Err(Wrong::at(place.field, "nesting is not offered")),
        Expression::Global(_) => {
            return Err(Wrong::at(place.field, "a condition has the form field = value"));
        }
    };
    let Restriction { comparable, comparator, arg } = restriction;
    let name = comparable.field_path().unwrap_or_default();
    let Some(allowed) = allowed.iter().find(|candidate| candidate.field == name) else {
        let fields: Vec<&str> = allowed.iter().map(|allowed| allowed.field).collect();
        return Err(Wrong::at(
            place.field,
            format!("there is no such field here; there are: {}", fields.join(", ")),
        ));
    };
    let operator = match comparator {
        Comparator::Equal => Operator::Equals,
        Comparator::NotEqual => Operator::NotEquals,
        Comparator::GreaterThan
        | Comparator::GreaterThanOrEqual
        | Comparator::LessThan
        | Comparator::LessThanOrEqual
        | Comparator::Has => return Err(Wrong::at(place.field, "only = and != are offered")),
    };
    let value = value(arg).ok_or_else(|| Wrong::at(place.value, "must be a word or a quoted text"))?;
    let (operator, value) =
        checked(allowed.kind, operator, value).map_err(|cause| Wrong::at(place.value, cause))?;
    Ok(Condition { field: allowed.field, operator, value })
}

/// The text of a value: quoted, or bare words with dots between them, such as a mail address.
fn value(arg: Arg) -> Option<String> {
    match arg {
        Arg::Comparable(Comparable::Member(Member { value: Value::String(text), fields })) => {
            fields.is_empty().then_some(text)
        }
        Arg::Comparable(Comparable::Member(member)) => member.field_path(),
        Arg::Comparable(Comparable::Function(_)) | Arg::Composite(_) => None,
    }
}

fn checked(kind: FieldKind, operator: Operator, value: String) -> Result<(Operator, String), String> {
    // PostgreSQL cannot even hold a NUL, and no value of ours has any other.
    if value.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    if value.starts_with('*') {
        return Err("must not begin with *".to_owned());
    }
    if let FieldKind::Values(names) = kind {
        return if names.contains(&value.as_str()) {
            Ok((operator, value))
        } else {
            Err(format!("must be one of {}", names.join(", ")))
        };
    }
    if let FieldKind::Equals { form, fits } = kind {
        return match operator {
            Operator::Equals if fits(&value) => Ok((operator, value)),
            Operator::Equals => Err(form.to_owned()),
            Operator::NotEquals | Operator::HasPrefix => Err("only = is offered on this field".to_owned()),
        };
    }
    match (value.strip_suffix('*'), kind, operator) {
        (None, _, operator) => Ok((operator, value)),
        (Some(prefix), FieldKind::Prefix, Operator::Equals) => Ok((Operator::HasPrefix, prefix.to_owned())),
        (Some(_), FieldKind::Prefix, _) => Err("a prefix is offered with = only".to_owned()),
        (Some(_), FieldKind::Exact | FieldKind::Equals { .. } | FieldKind::Values(_), _) => {
            Err("a prefix is not offered on this field".to_owned())
        }
    }
}

fn not_read(text: &str, error: FilterError) -> Wrong {
    if let FilterError::Syntax { offset, message } = error {
        return Wrong::at(offset, message);
    }
    // The parser has one further error: too deep, which at depth 0 is the first parenthesis.
    let parenthesis = unquoted(text).find(|(_, letter)| *letter == '(');
    Wrong::at(parenthesis.map_or(0, |(position, _)| position), "parentheses and functions are not offered")
}

#[cfg(test)]
mod tests;
