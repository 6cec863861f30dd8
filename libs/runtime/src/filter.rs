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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Equal or not.
    Exact,
    /// Equal, not equal, or beginning with what stands before a final `*`.
    Prefix,
    /// One of these names, as an enum has them.
    Values(&'static [&'static str]),
}

/// A field that a method allows in its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    match (value.strip_suffix('*'), kind, operator) {
        (None, _, operator) => Ok((operator, value)),
        (Some(prefix), FieldKind::Prefix, Operator::Equals) => Ok((Operator::HasPrefix, prefix.to_owned())),
        (Some(_), FieldKind::Prefix, _) => Err("a prefix is offered with = only".to_owned()),
        (Some(_), FieldKind::Exact | FieldKind::Values(_), _) => {
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
mod tests {
    use kernel::Code;

    use super::*;

    const ALLOWED: &[Allowed] = &[
        Allowed { field: "state", kind: FieldKind::Values(&["STATE_ACTIVE", "STATE_BLOCKED"]) },
        Allowed { field: "owner", kind: FieldKind::Exact },
        Allowed { field: "display_name", kind: FieldKind::Prefix },
        Allowed { field: "plan.name", kind: FieldKind::Exact },
    ];

    fn good(text: &str) -> Vec<(&'static str, Operator, String)> {
        let conditions = parse(text, ALLOWED).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
        conditions
            .into_iter()
            .map(|condition| (condition.field, condition.operator, condition.value))
            .collect()
    }

    fn one(text: &str) -> (&'static str, Operator, String) {
        let conditions = good(text);
        assert_eq!(conditions.len(), 1, "{text}");
        conditions.into_iter().next().unwrap()
    }

    /// The position and cause of a refused filter.
    fn bad(text: &str) -> (usize, String) {
        let refusal = parse(text, ALLOWED).expect_err(text);
        assert_eq!((refusal.code(), refusal.reason()), (Code::InvalidArgument, reason::FILTER_INVALID));
        assert_eq!(refusal.violations()[0].field, "filter");
        let [("position", position), ("cause", cause)] = refusal.metadata() else { panic!("{refusal:?}") };
        (position.parse().unwrap(), cause.clone())
    }

    #[test]
    fn an_empty_filter_asks_nothing() {
        assert!(good("").is_empty());
        assert!(good("  \t").is_empty());
    }

    #[test]
    fn words_and_quoted_texts_are_values() {
        let principal =
            "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6/users/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
        let equals = |field, value: &str| (field, Operator::Equals, value.to_owned());
        assert_eq!(one("state = STATE_ACTIVE"), equals("state", "STATE_ACTIVE"));
        assert_eq!(one("state=\"STATE_ACTIVE\""), equals("state", "STATE_ACTIVE"));
        assert_eq!(one("owner = users/me"), equals("owner", "users/me"));
        assert_eq!(one(" owner  =  'users/me' "), equals("owner", "users/me"));
        assert_eq!(one(&format!("owner = {principal}")), equals("owner", principal));
        assert_eq!(one(&format!("owner = \"{principal}\"")), equals("owner", principal));
        assert_eq!(one("owner = ada.l@contoso.example"), equals("owner", "ada.l@contoso.example"));
        assert_eq!(one("plan.name = 2.5.1"), equals("plan.name", "2.5.1"));
        assert_eq!(one("owner = -30"), equals("owner", "-30"));
        assert_eq!(
            one("display_name = \"O'Brien AND \\\"Co\\\"\""),
            equals("display_name", "O'Brien AND \"Co\"")
        );
        assert_eq!(one("display_name = Zoë"), equals("display_name", "Zoë"));
    }

    #[test]
    fn conditions_are_joined_by_and() {
        let conditions = good("state != STATE_BLOCKED AND state != \"STATE_ACTIVE\" AND display_name = ad*");
        let operators: Vec<Operator> = conditions.iter().map(|(_, operator, _)| *operator).collect();
        assert_eq!(operators, [Operator::NotEquals, Operator::NotEquals, Operator::HasPrefix]);
        assert_eq!(conditions[2].2, "ad");
    }

    #[test]
    fn a_prefix_is_offered_where_the_field_has_one() {
        assert_eq!(
            one("display_name = \"Ada L*\""),
            ("display_name", Operator::HasPrefix, "Ada L".to_owned())
        );
        assert_eq!(bad("display_name = *").0, 15, "a prefix of nothing would ask nothing");
        assert_eq!(one("display_name = a*b"), ("display_name", Operator::Equals, "a*b".to_owned()));
        assert_eq!(bad("display_name = *da").0, 15);
        assert_eq!(bad("display_name != ad*").0, 16);
        assert_eq!(bad("owner = users/*"), (8, "a prefix is not offered on this field".to_owned()));
        assert_eq!(bad("state = STATE_*").0, 8);
    }

    #[test]
    fn sql_in_a_value_is_plain_data() {
        for text in ["'; DROP TABLE users; --", "100%_\\", "a' OR '1'='1", "$1", "?", "/* x */"] {
            let quoted = format!("display_name = \"{}\"", text.replace('\\', "\\\\"));
            assert_eq!(one(&quoted), ("display_name", Operator::Equals, text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_offered_is_refused_at_its_place() {
        for (text, position, cause) in [
            ("password = x", 0, "there is no such field"),
            ("state = STATE_ACTIVE AND Owner = x", 25, "there is no such field"),
            ("\"state\" = STATE_ACTIVE", 0, "there is no such field"),
            ("state = STATE_PURGED", 8, "must be one of STATE_ACTIVE, STATE_BLOCKED"),
            ("owner = a AND state != active", 23, "must be one of"),
            ("display_name = \"x AND y\" AND state = \"= AND z\"", 37, "must be one of"),
            ("owner = a AND owner = b", 14, "owner is already given"),
            ("display_name = a* AND display_name = a", 22, "display_name is already given"),
            ("owner = a OR owner = b", 0, "OR is not offered"),
            ("state = STATE_ACTIVE AND NOT owner = a", 25, "NOT is not offered"),
            ("-owner = a", 0, "NOT is not offered"),
            ("owner = a state = STATE_ACTIVE", 0, "conditions are joined by AND"),
            ("ada", 0, "a condition has the form"),
            ("owner > a", 0, "only = and !="),
            ("owner : a", 0, "only = and !="),
            ("owner = a.\"b\"", 8, "must be a word"),
            ("state = STATE_ACTIVE AND (owner = a)", 25, "parentheses"),
            ("display_name = \"(\" AND owner = (a)", 31, "parentheses"),
            ("owner = f(a)", 9, "parentheses"),
            ("owner =", 7, "unexpected end"),
            ("owner = \"a", 8, "unterminated"),
            ("owner = a AND", 10, "unexpected keyword AND"),
            ("owner = = a", 8, "expected a value"),
            ("owner = \"a\\nb\"", 8, "control characters"),
            ("owner = \"a\0b\"", 8, "control characters"),
        ] {
            let (at, told) = bad(text);
            assert!(at == position && told.contains(cause), "{text}: {at} {told}");
        }
    }

    #[test]
    fn bombs_are_refused_before_they_cost_anything() {
        assert_eq!(bad(&"(".repeat(1024)), (0, "parentheses and functions are not offered".to_owned()));
        assert_eq!(bad(&format!("owner = \"{}\"", "a".repeat(1024))).0, 1024);
        let many = vec!["owner != a"; MOST_CONDITIONS + 1].join(" AND ");
        assert_eq!(bad(&many).0, many.len() - "owner != a".len());
        assert_eq!(good(&vec!["owner != a"; MOST_CONDITIONS].join(" AND ")).len(), MOST_CONDITIONS);
        for hostile in
            ["-".repeat(1000), "NOT ".repeat(250), "a.".repeat(500), "\\".repeat(1000), "é".repeat(512)]
        {
            bad(&hostile);
        }
    }

    #[test]
    fn whatever_comes_is_read_or_refused_at_a_place_within_the_text() {
        const PIECES: &[&str] = &[
            "owner", "state", " ", " AND ", "AND", "=", "!=", "\"", "'", "\\", "(", ")", "*", ".", "-", "é",
            "NOT ",
        ];
        let mut seed: usize = 7;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(PIECES[(seed >> 33) % PIECES.len()]);
            }
            if parse(&text, ALLOWED).is_err() {
                let (position, _) = bad(&text);
                assert!(text.is_char_boundary(position), "{text}: {position}");
            }
        }
    }

    #[test]
    fn names_that_read_alike_fold_alike() {
        assert_eq!(folded("BOB"), folded("bob"));
        assert_eq!(folded("Zoe\u{308}"), folded("ZO\u{cb}"));
        assert_eq!(folded("ΟΔΟΣ"), folded("οδος"));
        assert!(folded("ΟΔΟΣΜΑ").starts_with(&folded("ΟΔΟΣ")));
        assert_ne!(folded("bob "), folded("bob"));
        for letter in '\0'..='\u{2fff}' {
            let once = folded(&letter.to_string());
            assert_eq!(folded(&once), once, "{letter:?}");
        }
    }
}
