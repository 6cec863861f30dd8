//! Lists of all directories: each order has its index, with and without the deleted ones, and so has each way to narrow
//! a list by an equality or a name's beginning (K32).
//!
//! What a filter's text says is told where requests are parsed.

use database::statement::Statement;
use database::{StoreError, Tx};
use kernel::DirectoryId;
use runtime::filter::folded;

use super::directories::{COLUMNS, Row};
use crate::domain::directory::{Directory, State};

/// Where the next page begins: after this name as it is compared, creation time and id.
pub(crate) type After = (String, i64, DirectoryId);

/// What a list is narrowed to; all narrowings hold.
#[derive(Debug, Clone)]
pub(crate) struct Narrowing {
    pub(crate) by: By,
    /// Whether it is everything else that is listed.
    pub(crate) negated: bool,
}

/// What a list can be narrowed by.
#[derive(Debug, Clone)]
pub(crate) enum By {
    State(State),
    /// The name as it is compared.
    Name(Name, String),
    /// How the name begins, as it is compared.
    Prefix(Name, String),
}

/// The names of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Display,
    InitialDomain,
    PrimaryDomain,
}

impl Name {
    const fn column(self) -> &'static str {
        match self {
            Self::Display => "display_name_key",
            Self::InitialDomain => "initial_domain",
            Self::PrimaryDomain => "primary_domain",
        }
    }
}

/// Which page is asked for, and in which order.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) narrowings: Vec<Narrowing>,
    pub(crate) shows_deleted: bool,
    /// Ordered by display name, and not by creation time alone.
    pub(crate) by_name: bool,
    pub(crate) descending: bool,
    pub(crate) after: Option<After>,
    pub(crate) most: i64,
}

/// How the rows of a page are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// In the order of the list.
    InOrder,
    /// By one display name: then the order is that of their creation, whichever is asked for.
    ByDisplayName,
    /// By how the display name begins, in the order of display names.
    InOrderFrom,
    /// By a name that few have: the page orders them.
    Few(Name),
}

impl Found {
    fn of(asked: &Asked) -> Self {
        let equal = |narrowing: &Narrowing| match &narrowing.by {
            By::Name(name, _) if !narrowing.negated => Some(*name),
            By::Name(..) | By::Prefix(..) | By::State(_) => None,
        };
        let begins = |narrowing: &Narrowing| match &narrowing.by {
            By::Prefix(name, _) => Some(*name),
            By::Name(..) | By::State(_) => None,
        };
        let first = asked.narrowings.iter().find_map(equal);
        match (first, asked.narrowings.iter().find_map(begins)) {
            (Some(Name::Display), _) => Self::ByDisplayName,
            (None, Some(Name::Display)) if asked.by_name => Self::InOrderFrom,
            (Some(name), _) | (None, Some(name)) => Self::Few(name),
            (None, None) => Self::InOrder,
        }
    }

    const fn name(self) -> Option<Name> {
        match self {
            Self::InOrder => None,
            Self::ByDisplayName | Self::InOrderFrom => Some(Name::Display),
            Self::Few(name) => Some(name),
        }
    }

    /// The columns that the list is ordered by. What is added keeps planners from the indexes in that order, which would
    /// read all directories to find a few.
    fn order(self, by_name: bool) -> Vec<&'static str> {
        match (self, by_name) {
            (Self::ByDisplayName, _) | (Self::InOrder | Self::InOrderFrom, false) => {
                vec!["create_time", "id"]
            }
            (Self::InOrder | Self::InOrderFrom, true) => vec!["display_name_key", "create_time", "id"],
            (Self::Few(_), false) => vec!["create_time + 0", "id"],
            (Self::Few(_), true) => vec!["display_name_key || ''", "create_time + 0", "id"],
        }
    }

    /// A column in a condition: the one by which rows are found, or any other, whose index is not to be used.
    fn column(self, column: &'static str) -> String {
        match self.name() {
            Some(name) if name.column() != column => format!("{column} || ''"),
            Some(_) | None => column.to_owned(),
        }
    }
}

/// A page of all directories.
pub(crate) async fn page(tx: &mut Tx, asked: &Asked) -> Result<Vec<Directory>, StoreError> {
    let rows: Vec<Row> = statement(asked).fetch_all(tx).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Where a directory stands in every order.
pub(crate) fn place(directory: &Directory) -> After {
    (folded(&directory.display_name), directory.create_time.micros(), directory.id)
}

/// The statement of a page; tests read its plan.
pub(crate) fn statement(asked: &Asked) -> Statement {
    let found = Found::of(asked);
    let mut statement = Statement::new(format!("SELECT {COLUMNS} FROM directories WHERE 1 = 1"));
    // A list of one state says itself whether that is the deleted ones.
    let asks_state = |narrowing: &Narrowing| matches!(narrowing.by, By::State(_)) && !narrowing.negated;
    if !asked.shows_deleted && !asked.narrowings.iter().any(asks_state) {
        statement.push(" AND state <> 'DELETED'");
    }
    for narrowing in &asked.narrowings {
        let condition = condition(&mut statement, found, narrowing, asked);
        statement.push(&format!(" AND {condition}"));
    }
    let columns = found.order(asked.by_name);
    if let Some((key, time, id)) = &asked.after {
        let mut values = vec![statement.bind(*time), statement.bind(id.uuid())];
        if columns.len() == 3 {
            values.insert(0, statement.bind(key.as_str()));
        }
        let beyond = if asked.descending { "<" } else { ">" };
        statement.push(&format!(" AND ({}) {beyond} ({})", columns.join(", "), values.join(", ")));
    }
    let direction = if asked.descending { " DESC" } else { "" };
    let order: Vec<String> = columns.iter().map(|column| format!("{column}{direction}")).collect();
    let most = statement.bind(asked.most);
    statement.push(&format!(" ORDER BY {} LIMIT {most}", order.join(", ")));
    statement
}

fn condition(statement: &mut Statement, found: Found, narrowing: &Narrowing, asked: &Asked) -> String {
    match (&narrowing.by, narrowing.negated) {
        (By::State(state), false) => {
            format!("{} = {}", found.column("state"), statement.bind(state.as_str()))
        }
        // What is different is looked for among all, in the list's order.
        (By::State(state), true) => format!("state || '' <> {}", statement.bind(state.as_str())),
        (By::Name(name, value), false) => {
            format!("{} = {}", found.column(name.column()), statement.bind(value.as_str()))
        }
        (By::Name(name, value), true) => {
            format!("{} || '' <> {}", name.column(), statement.bind(value.as_str()))
        }
        // A page after the first begins within what begins so: one bound of each kind, that of the page, or an engine
        // may begin anew at the other.
        (By::Prefix(_, prefix), _) if found == Found::InOrderFrom && asked.after.is_some() => {
            let range =
                if asked.descending { (">=", prefix.clone()) } else { ("<", format!("{prefix}\u{10ffff}")) };
            format!("display_name_key {} {}", range.0, statement.bind(range.1))
        }
        (By::Prefix(name, prefix), _) => statement.begins_with(&found.column(name.column()), prefix),
    }
}

#[cfg(test)]
mod tests {
    use kernel::new_ids;
    use test_support::database::fresh;
    use test_support::plan::{assert_finds, assert_seeks, assert_seeks_back};

    use super::*;

    const BY_TIME: &str = "create_time, id";
    const BY_NAME: &str = "display_name_key, create_time, id";

    fn text(by: Option<By>, shows_deleted: bool, by_name: bool, descending: bool) -> String {
        let narrowings = by.into_iter().map(|by| Narrowing { by, negated: false }).collect();
        let id = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
        let after = Some(("contoso".to_owned(), 1, id));
        statement(&Asked { narrowings, shows_deleted, by_name, descending, after, most: 50 })
            .text()
            .to_owned()
    }

    #[tokio::test]
    async fn k_32_every_order_and_state_has_an_index() {
        let database = fresh("directory", &crate::migrations()).await;
        let active = || Some(By::State(State::Active));
        let prefix = || Some(By::Prefix(Name::Display, "conto".to_owned()));
        let name = || Some(By::Name(Name::Display, "contoso".to_owned()));
        for (by, shows_deleted, by_name, index, order) in [
            (None, false, false, "directories_by_create_time", BY_TIME),
            (None, true, false, "all_directories_by_create_time", BY_TIME),
            (None, false, true, "directories_by_display_name", BY_NAME),
            (None, true, true, "all_directories_by_display_name", BY_NAME),
            (active(), false, false, "directories_by_state", BY_TIME),
            (active(), true, true, "directories_by_state_and_name", BY_NAME),
            (prefix(), false, true, "directories_by_display_name", BY_NAME),
            (prefix(), true, true, "all_directories_by_display_name", BY_NAME),
            (name(), true, true, "all_directories_by_display_name", BY_TIME),
        ] {
            let forth = text(by.clone(), shows_deleted, by_name, false);
            assert_seeks(&database.db, &forth, index, order).await;
            let back = text(by, shows_deleted, by_name, true);
            assert_seeks_back(&database.db, &back, index, order).await;
        }
    }

    #[tokio::test]
    async fn k_32_what_has_a_name_is_found_by_it_whatever_the_order() {
        let database = fresh("directory", &crate::migrations()).await;
        let value = || "conto".to_owned();
        for (by, indexes, column) in [
            (
                By::Prefix(Name::Display, value()),
                &["directories_by_display_name", "all_directories_by_display_name"][..],
                "display_name_key",
            ),
            (By::Prefix(Name::InitialDomain, value()), &["directories_by_initial_domain"], "initial_domain"),
            (By::Name(Name::InitialDomain, value()), &["directories_by_initial_domain"], "initial_domain"),
            (By::Prefix(Name::PrimaryDomain, value()), &["directories_by_primary_domain"], "primary_domain"),
            (By::Name(Name::PrimaryDomain, value()), &["directories_by_primary_domain"], "primary_domain"),
        ] {
            for by_name in [false, true] {
                // By its display name in the order of display names is read in that order.
                if by_name && column == "display_name_key" {
                    continue;
                }
                for (shows_deleted, index) in [false, true].into_iter().zip(indexes.iter().cycle()) {
                    let select = text(Some(by.clone()), shows_deleted, by_name, false);
                    assert_finds(&database.db, &select, index, column).await;
                }
            }
        }
    }
}
