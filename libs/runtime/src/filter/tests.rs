//! What filters are read as, and where they are refused.

use kernel::Code;

use super::*;

const ALLOWED: &[Allowed] = &[
    Allowed { field: "state", kind: FieldKind::Values(&["STATE_ACTIVE", "STATE_BLOCKED"]) },
    Allowed { field: "owner", kind: FieldKind::Exact },
    Allowed { field: "display_name", kind: FieldKind::Prefix },
    Allowed { field: "plan.name", kind: FieldKind::Exact },
    Allowed {
        field: "holder",
        kind: FieldKind::Equals { form: "must be a holder", fits: |text| text == "holders/1" },
    },
];

fn good(text: &str) -> Vec<(&'static str, Operator, String)> {
    let conditions = parse(text, ALLOWED).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
    conditions.into_iter().map(|condition| (condition.field, condition.operator, condition.value)).collect()
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
    assert_eq!(one("holder = holders/1"), equals("holder", "holders/1"));
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
    assert_eq!(one("display_name = \"Ada L*\""), ("display_name", Operator::HasPrefix, "Ada L".to_owned()));
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
        ("holder != holders/1", 10, "only = is offered"),
        ("owner = a AND holder = \"x\"", 23, "must be a holder"),
        ("holder = holders/*", 9, "must be a holder"),
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
