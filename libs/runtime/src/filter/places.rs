//! Where the conditions of a filter stand in its text; the parser keeps no positions of what it understood.
//!
//! Positions are for people: nothing is decided by them.

/// Where a condition stands, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// Where its field begins.
    pub(super) field: usize,
    /// Where its value begins.
    pub(super) value: usize,
}

/// The places of the conditions that stand between the ANDs.
pub(super) fn places(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut start = 0;
    for end in ands(text).into_iter().chain([text.len()]) {
        let part = &text[start..end];
        let after_operator =
            unquoted(part).find(|(_, letter)| *letter == '=').map_or(0, |(index, _)| index + 1);
        places
            .push(Place { field: skip_space(text, start), value: skip_space(text, start + after_operator) });
        start = end + "AND".len().min(text.len() - end);
    }
    places
}

/// The positions of the ANDs between conditions.
fn ands(text: &str) -> Vec<usize> {
    let is_space = |letter: Option<char>| letter.is_some_and(char::is_whitespace);
    let stands_alone = |position: usize| {
        let after = text[position..].strip_prefix("AND");
        is_space(text[..position].chars().next_back())
            && after.is_some_and(|after| is_space(after.chars().next()))
    };
    unquoted(text).map(|(position, _)| position).filter(|position| stands_alone(*position)).collect()
}

fn skip_space(text: &str, from: usize) -> usize {
    text.len() - text[from..].trim_start().len()
}

/// The letters outside quoted texts, with their positions.
pub(super) fn unquoted(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut is_escaped = false;
    text.char_indices().filter(move |(_, letter)| match quote {
        None => {
            quote = matches!(letter, '"' | '\'').then_some(*letter);
            quote.is_none()
        }
        Some(end) => {
            if is_escaped {
                is_escaped = false;
            } else if *letter == '\\' {
                is_escaped = true;
            } else if *letter == end {
                quote = None;
            }
            false
        }
    })
}
