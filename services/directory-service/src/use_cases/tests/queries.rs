//! Reading: who may, in pages, by an index.

use kernel::{Refusal, reason};

use super::*;
use crate::domain::directory::NewDirectory;
use crate::store;
use crate::use_cases::{DIRECTORY_ORDERS, DirectoryList, Page};
use runtime::filter::{Allowed, Condition, FieldKind, parse};
use runtime::order_by;

fn first(size: i64) -> Page {
    Page { size, token: String::new() }
}

const FIELDS: &[Allowed] = &[
    Allowed { field: "state", kind: FieldKind::Exact },
    Allowed { field: "display_name", kind: FieldKind::Prefix },
    Allowed { field: "initial_domain", kind: FieldKind::Prefix },
    Allowed { field: "primary_domain", kind: FieldKind::Prefix },
];

/// A list in pages of two.
fn list(filter: &str, order_by: &str, shows_deleted: bool) -> DirectoryList {
    let conditions: Vec<Condition> = parse(filter, FIELDS).unwrap();
    DirectoryList {
        page: first(2),
        filter: filter.to_owned(),
        conditions,
        order_by: order_by.to_owned(),
        order: order_by::parse(order_by, DIRECTORY_ORDERS).unwrap(),
        shows_deleted,
    }
}

impl World {
    /// All pages of a list.
    async fn listed(&self, list: &DirectoryList) -> Vec<Directory> {
        let (mut listed, mut list) = (Vec::new(), list.clone());
        loop {
            let (directories, next) = self.use_cases.list_directories(&operator(), &list).await.unwrap();
            assert!(directories.len() == 2 || next.is_empty(), "a page is short at the end only");
            listed.extend(directories);
            if next.is_empty() {
                return listed;
            }
            list.page.token = next;
        }
    }

    /// The names of a list, in its order.
    async fn names(&self, filter: &str, order_by: &str) -> Vec<String> {
        let listed = self.listed(&list(filter, order_by, false)).await;
        listed.into_iter().map(|directory| directory.display_name).collect()
    }

    /// An active directory of this name.
    async fn named(&self, label: &str, display_name: &str) -> Directory {
        self.clock.advance(Duration::from_secs(1));
        let new = NewDirectory { display_name: display_name.to_owned(), ..contoso(label) };
        let made = self.use_cases.create_directory(&self.call(&IDENTITY, CREATE), &new).await.unwrap();
        self.activate(made.id).await.unwrap()
    }
}

/// The same on both engines: case, forms of Unicode, and what the engines' patterns or values would mean (attacks 15, 34).
#[tokio::test]
async fn k_32_names_are_compared_and_ordered_alike_on_both_engines() {
    let world = World::new().await;
    let names = [
        "contoso",
        "Contoso Ltd",
        "CONTOSO AG",
        "Zo\u{eb} KG",
        "ZOE\u{308} GmbH",
        "zoe",
        "100% Pure",
        "100 Pure",
        "a_b",
        "aXb",
        "back\\slash",
        "it's",
        "\"quoted\"",
        "NULL",
        "0",
        "\u{1f469} & Co",
        "\u{c4}pfel",
    ];
    for (number, name) in names.iter().enumerate() {
        world.named(&format!("label-{number}"), name).await;
    }
    for (filter, expected) in [
        ("display_name = \"CONTO*\"", &["contoso", "CONTOSO AG", "Contoso Ltd"][..]),
        ("display_name = \"Contoso\"", &["contoso"]),
        ("display_name = \"ZO\u{cb}*\"", &["ZOE\u{308} GmbH", "Zo\u{eb} KG"]),
        ("display_name = \"zoe\u{308} kg\"", &["Zo\u{eb} KG"]),
        ("display_name = \"100%*\"", &["100% Pure"]),
        ("display_name = \"a_b\"", &["a_b"]),
        ("display_name = \"a_*\"", &["a_b"]),
        ("display_name = \"back\\\\*\"", &["back\\slash"]),
        ("display_name = \"it's\"", &["it's"]),
        ("display_name = \"it' OR 1 = 1 --*\"", &[]),
        ("display_name = \"null\"", &["NULL"]),
        ("display_name = \"\"", &[]),
        ("display_name = \"\u{e4}*\"", &["\u{c4}pfel"]),
        ("display_name = \"co*\" AND display_name != \"contoso\"", &["CONTOSO AG", "Contoso Ltd"]),
        ("initial_domain = \"LABEL-1.*\"", &["Contoso Ltd"]),
        ("primary_domain = \"label-1*\" AND display_name = \"a*\"", &[]),
        ("initial_domain = \"label-8.tenure.internal\" AND state = STATE_ACTIVE", &["a_b"]),
    ] {
        assert_eq!(world.names(filter, "display_name").await, expected, "{filter}");
        let mut back = world.names(filter, "display_name desc, create_time desc").await;
        back.reverse();
        assert_eq!(back, expected, "{filter} backwards");
        let mut by_time = world.names(filter, "").await;
        assert!(by_time.is_sorted_by_key(|name| names.iter().position(|other| other == name)), "{filter}");
        by_time.sort_by_key(|name| expected.iter().position(|other| other == name));
        assert_eq!(by_time, expected, "{filter} by time");
    }
    let all = world.names("", "display_name").await;
    let mut expected = names.map(ToOwned::to_owned);
    expected.sort_by_key(|name| runtime::filter::folded(name));
    assert_eq!(all, expected, "by bytes of the folded names");
}

#[tokio::test]
async fn directories_of_one_name_are_ordered_by_their_creation() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for label in ["a", "b", "c", "d", "e"] {
        expected.push(world.named(label, "Contoso").await.id);
    }
    for filter in ["", "display_name = \"CONTOSO\"", "display_name = \"c*\"", "state = STATE_ACTIVE"] {
        for order_by in ["display_name", "display_name desc"] {
            let listed = world.listed(&list(filter, order_by, false)).await;
            let mut ids: Vec<_> = listed.iter().map(|directory| directory.id).collect();
            if order_by.ends_with("desc") {
                ids.reverse();
            }
            assert_eq!(ids, expected, "{filter} {order_by}");
        }
    }
}

#[tokio::test]
async fn deleted_directories_are_listed_where_they_are_asked_for() {
    let world = World::new().await;
    let active = world.active("a").await;
    world.clock.advance(Duration::from_secs(1));
    let abandoned = world.create("b").await.unwrap();
    let abandoned = world.abandon(abandoned.id).await.unwrap();
    for (filter, shows_deleted, expected) in [
        ("", false, vec![active.id]),
        ("", true, vec![active.id, abandoned.id]),
        ("state = STATE_DELETED", false, vec![abandoned.id]),
        ("state = STATE_DELETED", true, vec![abandoned.id]),
        ("state != STATE_ACTIVE", false, vec![]),
        ("state != STATE_ACTIVE", true, vec![abandoned.id]),
        ("state = STATE_ACTIVE AND state != STATE_ACTIVE", true, vec![]),
    ] {
        let mut listed = world.listed(&list(filter, "", shows_deleted)).await;
        listed.sort_by_key(|directory| directory.create_time);
        let ids: Vec<_> = listed.iter().map(|directory| directory.id).collect();
        assert_eq!(ids, expected, "{filter} {shows_deleted}");
    }
}

#[tokio::test]
async fn all_directories_are_listed_for_operators_without_the_deleted_ones() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for label in ["a", "b", "c"] {
        expected.push(world.active(label).await);
    }
    let provisioning = world.create("d").await.unwrap();
    let abandoned = world.create("e").await.unwrap();
    world.abandon(abandoned.id).await.unwrap();
    expected.push(provisioning);
    expected.sort_by_key(|directory| (directory.create_time, directory.id));
    assert_eq!(world.listed(&list("", "", false)).await, expected);
}

#[tokio::test]
async fn members_list_and_resolve_nothing_of_the_installation() {
    let world = World::new().await;
    let directory = world.active("contoso").await;
    let caller = member(directory.id);
    let listed = world.use_cases.list_directories(&caller, &list("", "", false)).await.map(|_| ());
    let known = world.use_cases.resolve_domain(&caller, &directory.initial_domain).await.map(|_| ());
    let unknown = "nobody.tenure.internal".parse().unwrap();
    let unknown = world.use_cases.resolve_domain(&caller, &unknown).await.map(|_| ());
    for result in [listed, known, unknown] {
        assert_eq!(Refusal::from(result.unwrap_err()).reason(), reason::PERMISSION_DENIED);
    }
}

#[tokio::test]
async fn p_11_a_foreign_directory_is_refused_before_anything_is_asked() {
    let world = World::new().await;
    let (own, foreign) = (world.active("contoso").await.id, world.active("fabrikam").await.id);
    let nowhere = DirectoryId::from_uuid(new_ids::derive(&["nowhere"]));
    let mut answers = Vec::new();
    for target in [foreign, nowhere] {
        let refusal = Refusal::from(world.use_cases.get_directory(&member(own), target).await.unwrap_err());
        assert_eq!(refusal.reason(), reason::PERMISSION_DENIED);
        answers.push(format!("{refusal:?}").replace(&target.to_string(), "*"));
        let refusal =
            Refusal::from(world.use_cases.list_liens(&member(own), target, &first(1)).await.unwrap_err());
        assert_eq!(refusal.reason(), reason::PERMISSION_DENIED);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn p_3_without_identity_no_member_is_answered() {
    let world = World::new().await;
    let own = world.active("contoso").await.id;
    let read = world.use_cases.get_directory(&member(own), own).await.map(|_| ());
    let mine = world.use_cases.list_my_directories(&member(own), &first(50)).await.map(|_| ());
    for result in [read, mine] {
        assert_eq!(Refusal::from(result.unwrap_err()).reason(), reason::DEPENDENCY_UNAVAILABLE);
    }
}

#[tokio::test]
async fn only_people_have_directories_of_their_own() {
    let world = World::new().await;
    for caller in [operator(), IDENTITY] {
        let refused = world.use_cases.list_my_directories(&caller, &first(50)).await.unwrap_err();
        assert_eq!(Refusal::from(refused).reason(), reason::PERMISSION_DENIED);
    }
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_and_caller_only() {
    let world = World::new().await;
    for label in ["a", "b"] {
        world.active(label).await;
    }
    let asked = DirectoryList { page: first(1), ..list("", "", false) };
    let (_, token) = world.use_cases.list_directories(&operator(), &asked).await.unwrap();
    let page = Page { size: 1, token };
    let asked = DirectoryList { page: page.clone(), ..asked };
    assert!(world.use_cases.list_directories(&operator(), &asked).await.is_ok());
    let other = Caller::Operator("another".to_owned());
    let refused = world.use_cases.list_directories(&other, &asked).await.unwrap_err();
    assert_eq!(Refusal::from(refused).reason(), reason::PAGE_TOKEN_INVALID);
    for changed in
        [list("state = STATE_ACTIVE", "", false), list("", "create_time desc", false), list("", "", true)]
    {
        let changed = DirectoryList { page: page.clone(), ..changed };
        let refused = world.use_cases.list_directories(&operator(), &changed).await.unwrap_err();
        assert_eq!(Refusal::from(refused).reason(), reason::PAGE_TOKEN_INVALID);
    }
}

#[tokio::test]
async fn k_32_the_list_of_liens_is_read_from_an_index_in_its_order() {
    let world = World::new().await;
    let (select, index) = (store::liens::PAGE, "liens_by_create_time");
    test_support::plan::assert_seeks(&world.database.db, select, index, "create_time, id").await;
}
