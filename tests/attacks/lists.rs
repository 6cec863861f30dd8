//! Attacks 31, 33 and 34 on the lists of directories and of the audit logs: bombs in filters, orders and tokens, forged
//! and foreign page tokens, and letters that mean something to SQL, to patterns or to a browser.

use api::directory::v1::{ListAuditEventsRequest, ListDirectoriesRequest, ListDirectoriesResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::Timestamp;
use tonic::Status;

use crate::audit_logs::{CONTEXTS, all, of, page, settle};
use crate::world::{Person, World, metadata, reason, with_token};

const BAD_FILTER: &str = "InvalidArgument/FILTER_INVALID";
const BAD_ORDER: &str = "InvalidArgument/ORDER_BY_INVALID";
const BAD_TOKEN: &str = "InvalidArgument/PAGE_TOKEN_INVALID";

async fn directories(
    world: &World,
    request: ListDirectoriesRequest,
    token: &str,
) -> Result<ListDirectoriesResponse, Status> {
    world.directories().list_directories(with_token(request, token)).await.map(tonic::Response::into_inner)
}

fn filtered(filter: &str) -> ListDirectoriesRequest {
    ListDirectoriesRequest { filter: filter.to_owned(), ..ListDirectoriesRequest::default() }
}

#[tokio::test]
async fn a_filter_or_order_of_any_size_or_depth_is_refused_with_its_place() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let operator = world.operator_token();
    let many = |field: &str| vec![format!("{field} != \"a\""); 17].join(" AND ");
    let bombs = [
        "(".repeat(500),
        format!("{}state = OK{}", "(".repeat(200), ")".repeat(200)),
        "NOT ".repeat(200),
        "a.".repeat(400),
        "\"".repeat(999),
        "-".repeat(1024),
        " AND ".repeat(100),
        format!("display_name = \"{}\"", "a".repeat(1024)),
        "x".repeat(100_000),
        "display_name = \"a\" OR display_name = \"b\"".to_owned(),
        "display_name > \"a\"".to_owned(),
        "display_name = \"a\u{0}b\"".to_owned(),
        "display_name = \"*a\"".to_owned(),
        "password = \"a\"".to_owned(),
    ];
    for bomb in bombs.iter().chain(&[many("display_name")]) {
        let refused = directories(&world, filtered(bomb), &operator).await.unwrap_err();
        assert_eq!(reason(&refused), BAD_FILTER, "{bomb:.40}");
        let position: usize = metadata(&refused, "position").unwrap().parse().unwrap();
        assert!(position <= bomb.len() && position <= 1024, "{bomb:.40}");
    }
    for bomb in
        bombs.iter().chain(&[many("actor"), "target != \"a*\"".to_owned(), "actor = \"a*\"".to_owned()])
    {
        for context in CONTEXTS {
            let refused = page(&world, context, &ada.token, &of(&ada, bomb)).await.unwrap_err();
            assert_eq!(reason(&refused), BAD_FILTER, "{context}: {bomb:.40}");
            assert!(metadata(&refused, "cause").is_some());
        }
    }
    for order in
        ["name".to_owned(), "create_time,".repeat(50_000), "create_time; DROP TABLE directories".to_owned()]
    {
        let request = ListDirectoriesRequest { order_by: order, ..ListDirectoriesRequest::default() };
        assert_eq!(reason(&directories(&world, request, &operator).await.unwrap_err()), BAD_ORDER);
    }
}

#[tokio::test]
async fn both_a_wrong_filter_and_a_wrong_order_are_told() {
    let world = World::new().await;
    let request = ListDirectoriesRequest { order_by: "name".to_owned(), ..filtered("nothing") };
    let refused = directories(&world, request, &world.operator_token()).await.unwrap_err();
    assert_eq!(reason(&refused), "InvalidArgument/FIELD_INVALID");
}

/// What a token could be turned into: cut, grown, with any of its bytes changed, or made up.
fn forgeries(token: &str) -> Vec<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    let mut forgeries: Vec<String> = (0..bytes.len())
        .step_by(5)
        .map(|index| {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            URL_SAFE_NO_PAD.encode(changed)
        })
        .collect();
    forgeries.push(URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1]));
    forgeries.push(URL_SAFE_NO_PAD.encode([bytes.as_slice(), b"0"].concat()));
    forgeries.extend(["1", "[0,0]", "eyJvZmZzZXQiOjB9"].map(ToOwned::to_owned));
    forgeries.push("A".repeat(100_000));
    forgeries
}

#[tokio::test]
async fn a_page_token_of_an_audit_log_is_good_for_its_own_request_alone() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let eve = world.sign_up("fabrikam").await;
    for local in ["ben", "cy"] {
        world.add(&ada, local).await;
        world.add(&eve, local).await;
    }
    settle(&world).await;
    let one = |person: &Person| ListAuditEventsRequest { page_size: 1, ..of(person, "") };
    let token = page(&world, "identity", &ada.token, &one(&ada)).await.unwrap().next_page_token;
    let go_on =
        |request: ListAuditEventsRequest| ListAuditEventsRequest { page_token: token.clone(), ..request };
    let asked = async |context: &str, by: &str, request: ListAuditEventsRequest| {
        page(&world, context, by, &request).await.map(|_| ()).map_err(|status| reason(&status))
    };
    assert_eq!(asked("identity", &ada.token, go_on(one(&ada))).await, Ok(()));
    let larger = ListAuditEventsRequest { page_size: 7, ..go_on(one(&ada)) };
    assert_eq!(asked("identity", &ada.token, larger).await, Ok(()), "the size is free");
    let refused = Err(BAD_TOKEN.to_owned());
    // Of another service, another caller, another directory.
    assert_eq!(asked("directory", &ada.token, go_on(one(&ada))).await, refused);
    assert_eq!(asked("identity", &world.operator_token(), go_on(one(&ada))).await, refused);
    assert_eq!(asked("identity", &eve.token, go_on(one(&eve))).await, refused);
    // Of another filter or time.
    let time = Some(Timestamp { seconds: 1, nanos: 0 });
    for other in [
        of(&ada, "outcome = OK"),
        ListAuditEventsRequest { start_time: time, ..one(&ada) },
        ListAuditEventsRequest { end_time: time, ..one(&ada) },
    ] {
        assert_eq!(asked("identity", &ada.token, go_on(other)).await, refused);
    }
    for forged in forgeries(&token) {
        let request = ListAuditEventsRequest { page_token: forged.clone(), ..one(&ada) };
        assert_eq!(asked("identity", &ada.token, request).await, refused, "{forged:.60}");
    }
}

#[tokio::test]
async fn a_page_token_of_the_directories_is_good_for_its_own_request_alone() {
    let world = World::new().await;
    for label in ["contoso", "fabrikam", "tailspin"] {
        world.sign_up(label).await;
    }
    let operator = world.operator_token();
    let one = ListDirectoriesRequest {
        page_size: 1,
        order_by: "display_name".to_owned(),
        ..ListDirectoriesRequest::default()
    };
    let token = directories(&world, one.clone(), &operator).await.unwrap().next_page_token;
    let next = ListDirectoriesRequest { page_token: token.clone(), ..one.clone() };
    assert_eq!(directories(&world, next.clone(), &operator).await.unwrap().directories.len(), 1);
    for other in [
        ListDirectoriesRequest { order_by: String::new(), ..next.clone() },
        ListDirectoriesRequest { order_by: "display_name desc".to_owned(), ..next.clone() },
        ListDirectoriesRequest { filter: "state = STATE_ACTIVE".to_owned(), ..next.clone() },
        ListDirectoriesRequest { show_deleted: true, ..next.clone() },
    ] {
        assert_eq!(reason(&directories(&world, other, &operator).await.unwrap_err()), BAD_TOKEN);
    }
    // Each operator token is another caller.
    assert_eq!(reason(&directories(&world, next, &world.operator_token()).await.unwrap_err()), BAD_TOKEN);
    for forged in forgeries(&token) {
        let request = ListDirectoriesRequest { page_token: forged.clone(), ..one.clone() };
        assert_eq!(
            reason(&directories(&world, request, &operator).await.unwrap_err()),
            BAD_TOKEN,
            "{forged:.60}"
        );
    }
}

#[tokio::test]
async fn what_is_written_between_two_pages_neither_shifts_nor_repeats_them() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    for local in ["a", "b", "c"] {
        world.add(&ada, local).await;
    }
    settle(&world).await;
    let before = all(&world, "identity", &ada, "").await;
    let mut request = ListAuditEventsRequest { page_size: 2, ..of(&ada, "") };
    let mut paged = Vec::new();
    for round in 0.. {
        let answer = page(&world, "identity", &ada.token, &request).await.unwrap();
        paged.extend(answer.audit_events);
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
        // Newer ones stand before what is still to come.
        world.clock.advance(std::time::Duration::from_secs(1));
        if round < 3 {
            world.add(&ada, &format!("new-{round}")).await;
            settle(&world).await;
        }
    }
    assert_eq!(paged, before);
}

/// Attack 34: a value is text, whatever it contains.
#[tokio::test]
async fn letters_that_mean_something_elsewhere_mean_themselves() {
    let world = World::new().await;
    let operator = world.operator_token();
    let names = [
        "<script>alert(1)</script>",
        "=HYPERLINK(\"http://x\")",
        "'; DROP TABLE directories; --",
        "100%_\\",
        "${jndi:ldap://x}",
    ];
    let mut people = Vec::new();
    for (number, name) in names.into_iter().enumerate() {
        let mut request = world.sign_up_request(&format!("label-{number}"));
        request.organization_display_name = name.to_owned();
        people.push(world.signed_up(tonic::Request::new(request)).await);
    }
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    for name in names {
        for filter in [
            format!("display_name = \"{}\"", quoted(name)),
            format!("display_name = \"{}*\"", quoted(&name[..4])),
        ] {
            let found = directories(&world, filtered(&filter), &operator).await.unwrap().directories;
            let found: Vec<_> = found.iter().map(|directory| directory.display_name.as_str()).collect();
            assert_eq!(found, [name], "{filter}");
        }
    }
    let hostile = ["%", "_", "%%%", "' OR '1'='1", "\\\\", "$1", "?1", "x'00'", "/* x */", "<b>", "NULL"];
    for value in hostile {
        for field in ["display_name", "initial_domain", "primary_domain"] {
            for end in ["", "*"] {
                let filter = format!("{field} = \"{value}{end}\"");
                let found = directories(&world, filtered(&filter), &operator).await.unwrap().directories;
                let expected = usize::from(
                    end == "*"
                        && names.iter().any(|name| {
                            field == "display_name" && name.starts_with(&value.replace("\\\\", "\\"))
                        }),
                );
                assert_eq!(found.len(), expected, "{filter}");
            }
        }
    }
    settle(&world).await;
    let ada = &people[0];
    for value in hostile {
        for filter in [
            format!("actor = \"{value}\""),
            format!("action = \"{value}\""),
            format!("target = \"{value}\""),
            format!("target = \"{value}*\""),
        ] {
            for context in CONTEXTS {
                assert_eq!(all(&world, context, ada, &filter).await, [], "{context}: {filter}");
            }
        }
        let everything = all(&world, "identity", ada, "").await;
        let others = all(&world, "identity", ada, &format!("actor != \"{value}\"")).await;
        assert_eq!(others, everything);
    }
    assert!(world.row_counts().await.contains_key("directory.directories"));
}
