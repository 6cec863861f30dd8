//! What the feed of directories changes here (K12, K14), and that it is taken in once, in order, and from where it was.

use api::directory::v1::directory::State;
use api::directory::v1::{Directory, DirectoryEvent, WatchDirectoriesResponse};
use api::types::v1::EventType;
use database::on;
use kernel::{Code, DirectoryId, Reason, Refusal};
use runtime::status::status;
use tonic::Status;
use uuid::Uuid;

use super::world::{World, directory_id, worker};

type Message = Result<WatchDirectoriesResponse, Status>;

fn event(event_type: EventType, of: &str, state: State, revision: i64) -> DirectoryEvent {
    let mut directory =
        Directory { name: format!("directories/{}", directory_id(of)), revision, ..Directory::default() };
    directory.set_state(state);
    DirectoryEvent {
        r#type: event_type.into(),
        directory: Some(directory),
        revision,
        ..DirectoryEvent::default()
    }
}

fn message(token: &str, events: Vec<DirectoryEvent>, backlog: i64) -> WatchDirectoriesResponse {
    let checkpoint = events.is_empty();
    WatchDirectoriesResponse {
        events,
        resume_token: token.to_owned(),
        checkpoint,
        backlog,
        ..WatchDirectoriesResponse::default()
    }
}

/// A whole snapshot, in the order of ids; with the checkpoint before it that every stream begins with.
fn snapshot(token: &str, directories: &[(&str, State, i64)]) -> Vec<Message> {
    let mut directories = directories.to_vec();
    directories.sort_by_key(|(name, ..)| directory_id(name));
    let told =
        |(name, state, revision): &(&str, State, i64)| event(EventType::Snapshot, name, *state, *revision);
    let events = directories.iter().map(told).collect();
    let begin = message("the snapshot begins", vec![], 0);
    vec![Ok(begin), Ok(WatchDirectoriesResponse { snapshot_complete: true, ..message(token, events, 0) })]
}

fn expired(cause: &str) -> Message {
    let reason = Reason::new("RESUME_TOKEN_EXPIRED");
    let refusal = Refusal::new(Code::OutOfRange, reason, "gone").with("cause", cause);
    Err(status(access::Service::Directory, &refusal))
}

async fn known(world: &World) -> Vec<(DirectoryId, String, i64)> {
    let mut tx = world.database.db.read().await.unwrap();
    let select = "SELECT directory, state, revision FROM directory_states ORDER BY directory";
    let rows: Vec<(Uuid, String, i64)> = on!(&mut tx, |c| sqlx::query_as(select).fetch_all(c).await).unwrap();
    rows.into_iter().map(|(id, state, revision)| (DirectoryId::from_uuid(id), state, revision)).collect()
}

fn expected(directories: &[(&str, State, i64)]) -> Vec<(DirectoryId, String, i64)> {
    let mut rows: Vec<_> = directories
        .iter()
        .map(|(name, state, revision)| (directory_id(name), state.as_str_name().to_owned(), *revision))
        .collect();
    rows.sort();
    rows
}

async fn told(world: &World, feeds: Vec<Vec<Message>>) {
    let count = feeds.len();
    world.script().feed.extend(feeds);
    let worker = worker(world, "follow");
    for _ in 0..count {
        worker.run_once().await.unwrap();
    }
    assert!(world.script().feed.is_empty());
}

const A: (&str, State, i64) = ("a", State::Active, 2);
const B: (&str, State, i64) = ("b", State::Active, 5);
const C: (&str, State, i64) = ("c", State::Suspended, 3);

#[tokio::test]
async fn k_12_the_higher_revision_wins_and_the_row_stays_after_the_end() {
    let world = World::new().await;
    let events = vec![
        event(EventType::Updated, "a", State::Suspended, 4),
        event(EventType::Updated, "a", State::Active, 3),
        event(EventType::Deleted, "b", State::Deleted, 6),
        event(EventType::Purged, "c", State::Unspecified, 4),
        event(EventType::Created, "d", State::Provisioning, 1),
    ];
    let feed = vec![Ok(message("behind", events, 0))];
    told(&world, vec![snapshot("begun", &[A, B, C]), feed]).await;
    let after = [
        ("a", State::Suspended, 4),
        ("b", State::Deleted, 6),
        ("c", State::Deleted, 4),
        ("d", State::Provisioning, 1),
    ];
    assert_eq!(known(&world).await, expected(&after));
    assert_eq!(token(&world).await, "behind");
}

async fn token(world: &World) -> String {
    let mut tx = world.database.db.read().await.unwrap();
    let select = "SELECT resume_token FROM followers WHERE feed = 'directories'";
    on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await).unwrap()
}

#[tokio::test]
async fn k_14_a_snapshot_after_a_gap_removes_what_it_does_not_contain() {
    let world = World::new().await;
    told(&world, vec![snapshot("one", &[A, B, C])]).await;
    let later = [("a", State::Active, 1), ("c", State::Active, 4)];
    told(&world, vec![vec![expired("too_old")], snapshot("two", &later)]).await;
    // What is known of a higher revision stays: it was told by something newer than the snapshot's page.
    assert_eq!(known(&world).await, expected(&[A, ("c", State::Active, 4)]));
}

#[tokio::test]
async fn k_14_what_a_restored_source_says_overrules_what_is_known() {
    let world = World::new().await;
    told(&world, vec![snapshot("one", &[A, B, C])]).await;
    let restored = [("a", State::Provisioning, 1), ("c", State::Active, 2)];
    told(&world, vec![vec![expired("source_restored")], snapshot("two", &restored)]).await;
    assert_eq!(known(&world).await, expected(&restored));
    // From there the revisions count on.
    let again = vec![event(EventType::Updated, "a", State::Active, 2)];
    told(&world, vec![vec![Ok(message("three", again, 0))]]).await;
    assert_eq!(known(&world).await[..], expected(&[A, ("c", State::Active, 2)])[..]);
}

#[tokio::test]
async fn a_snapshot_of_many_pages_compares_page_by_page() {
    let world = World::new().await;
    let names: Vec<String> = (0..120).map(|number| format!("directory {number}")).collect();
    let mut all: Vec<_> = names.iter().map(|name| (name.as_str(), State::Active, 2)).collect();
    all.sort_by_key(|(name, ..)| directory_id(name));
    told(&world, vec![snapshot("one", &all)]).await;
    let kept: Vec<_> =
        all.iter().enumerate().filter(|(index, _)| index % 3 != 0).map(|(_, one)| *one).collect();
    let mut feed = vec![Ok(message("begin", vec![], 0))];
    let pages = kept.chunks(25).collect::<Vec<_>>();
    for (index, page) in pages.iter().enumerate() {
        let events =
            page.iter().map(|(name, state, revision)| event(EventType::Snapshot, name, *state, *revision));
        let page = message(&format!("page {index}"), events.collect(), 0);
        feed.push(Ok(WatchDirectoriesResponse { snapshot_complete: index + 1 == pages.len(), ..page }));
    }
    // It breaks off in the middle, and goes on.
    let rest = feed.split_off(3);
    feed.push(Err(Status::unavailable("the connection broke")));
    world.script().feed.extend([vec![expired("too_old")], feed, rest]);
    let worker = worker(&world, "follow");
    assert!(worker.run_once().await.unwrap(), "it begins again at once");
    worker.run_once().await.unwrap_err();
    assert_eq!(token(&world).await, "page 1");
    worker.run_once().await.unwrap();
    assert_eq!(known(&world).await, expected(&kept));
}

#[tokio::test]
async fn a_feed_that_cannot_be_read_changes_nothing() {
    let world = World::new().await;
    told(&world, vec![snapshot("one", &[A])]).await;
    let mut without_state = event(EventType::Updated, "a", State::Active, 9);
    without_state.directory.as_mut().unwrap().state = 0;
    let mut of_nobody = event(EventType::Updated, "a", State::Active, 9);
    of_nobody.directory = None;
    let without_token = message("", vec![event(EventType::Updated, "a", State::Active, 9)], 0);
    for unreadable in
        [message("two", vec![without_state], 0), message("two", vec![of_nobody], 0), without_token]
    {
        world.script().feed.push_back(vec![Ok(unreadable)]);
        worker(&world, "follow").run_once().await.unwrap_err();
    }
    assert_eq!((known(&world).await, token(&world).await), (expected(&[A]), "one".to_owned()));
}
