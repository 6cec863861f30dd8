//! Orders of List methods: at most two fields, of those that a method offers, in one direction (K32).
//!
//! Each offered order has an index; that is why fields are not combined freely.

use kernel::{FieldViolation, Refusal, reason};

/// The longest order, in bytes (attack 31).
const MOST_BYTES: usize = 256;

/// An order that a method offers.
pub type Offered = &'static [&'static str];

/// The order that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Its fields, as the method offers them.
    pub fields: Offered,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// Reads an order such as `display_name desc, create_time desc`; an empty one is the first that is offered.
pub fn parse(text: &str, offered: &[Offered]) -> Result<Order, Refusal> {
    if text.trim().is_empty() {
        return Ok(Order { fields: offered[0], descending: false });
    }
    let asked: Vec<(&str, bool)> = match text.len() {
        0..=MOST_BYTES => text.split(',').map(field).collect(),
        _ => Vec::new(),
    };
    let fits = |fields: &&Offered| fields.iter().copied().eq(asked.iter().map(|(field, _)| *field));
    let descending = asked.first().is_some_and(|(_, descending)| *descending);
    match offered.iter().find(fits) {
        Some(fields) if asked.iter().all(|(_, other)| *other == descending) => {
            Ok(Order { fields, descending })
        }
        Some(_) | None => Err(refusal(offered)),
    }
}

/// A field, and whether it is to descend.
fn field(part: &str) -> (&str, bool) {
    let part = part.trim();
    match part.split_once(char::is_whitespace) {
        Some((field, direction)) if direction.trim() == "desc" => (field, true),
        Some(_) | None => (part, false),
    }
}

fn refusal(offered: &[Offered]) -> Refusal {
    let offered: Vec<String> = offered.iter().map(|fields| format!("`{}`", fields.join(", "))).collect();
    Refusal::invalid_fields(vec![FieldViolation {
        field: "order_by".to_owned(),
        description: format!("must be {}, each field of it with ` desc` or none", offered.join(" or ")),
        reason: reason::ORDER_BY_INVALID,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &[Offered] = &[&["create_time"], &["display_name"], &["display_name", "create_time"]];

    fn order(text: &str) -> Option<(Offered, bool)> {
        parse(text, OFFERED).ok().map(|order| (order.fields, order.descending))
    }

    #[test]
    fn what_is_offered_is_understood() {
        assert_eq!(order(""), Some((OFFERED[0], false)));
        assert_eq!(order("create_time desc"), Some((OFFERED[0], true)));
        assert_eq!(order(" display_name "), Some((OFFERED[1], false)));
        assert_eq!(order("display_name  desc,create_time desc"), Some((OFFERED[2], true)));
    }

    #[test]
    fn k_32_any_other_order_is_refused() {
        for other in [
            "name",
            "display_name asc",
            "display_name, create_time desc",
            "create_time, display_name",
            "create_time, create_time",
            "display_name, create_time, name",
            "display_name,",
            ",",
            "display_name; DROP TABLE directories",
            "display_name desc desc",
            &format!("display_name{}", " ".repeat(MOST_BYTES)),
        ] {
            let refusal = parse(other, OFFERED).unwrap_err();
            assert_eq!(refusal.reason(), reason::ORDER_BY_INVALID, "{other}");
            assert_eq!(refusal.violations()[0].field, "order_by");
        }
    }
}
