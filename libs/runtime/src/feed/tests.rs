//! P-13, K14: what a watcher is told, when it is dropped, and where it goes on; over real logs on either engine.

use std::sync::atomic::{AtomicU32, Ordering};

use access::caller::Service;
use access::permission::BeActive;
use access::{Call, Permit};
use database::change_log::{Change, ChangeKind, append};
use database::feed::LEAST_RETENTION;
use database::sqlx;
use database::{on, sequencer};
use kernel::new_ids;
use test_support::clock::ManualClock;
use test_support::database::{TestDatabase, foundation};
use tokio::time::Instant;

use super::*;
use crate::shutdown::{Shutdown, Tasks};

const SOON: Duration = Duration::from_millis(20);
const NEVER: Duration = Duration::from_hours(1);
const LONG: Duration = Duration::from_secs(20);

/// Things, whose events are their texts.
struct Things(Vec<u128>);

impl Subject for Things {
    const NAME: &'static str = "things";
    type Event = String;

    fn event(&self, event_type: EventType, entry: &Entry) -> Result<Option<String>, StoreError> {
        let thing = entry.resource.strip_prefix("things/");
        Ok(thing
            .map(|thing| format!("{} {thing}{}", event_type.as_str_name(), entry.after.trim_matches('"'))))
    }

    async fn snapshot(
        &self,
        _tx: &mut Tx,
        _only: Option<DirectoryId>,
        after: Option<Uuid>,
        most: i64,
    ) -> Result<Vec<(Uuid, String)>, StoreError> {
        let ids = self.0.iter().map(|id| Uuid::from_u128(*id)).filter(|id| Some(*id) > after);
        Ok(ids
            .take(usize::try_from(most).unwrap())
            .map(|id| (id, format!("snapshot {}", id.as_u128())))
            .collect())
    }
}

struct World {
    store: TestDatabase,
    clock: ManualClock,
    key: PrivateKey,
    feed: Feed<Things>,
    calls: AtomicU32,
}

impl World {
    async fn new() -> Self {
        Self::of(Vec::new()).await
    }

    async fn of(things: Vec<u128>) -> Self {
        let (store, clock) = (foundation().await, ManualClock::default());
        let key = PrivateKey::generate().unwrap();
        let feed = Feed::new(Things(things), store.db.clone(), &key, clock.clock());
        Self { store, clock, key, feed, calls: AtomicU32::new(0) }
    }

    fn permit(&self, directory: &str) -> Permit<BeActive> {
        let directory = DirectoryId::from_uuid(new_ids::derive(&[directory]));
        Permit::for_worker(directory, "test", self.clock.now())
    }

    /// One transaction with a change of each of these.
    async fn change_in(&self, directory: &str, changes: &[(&str, ChangeKind, &str)]) {
        let number = self.calls.fetch_add(1, Ordering::SeqCst).to_string();
        let call = Call {
            caller: None,
            method: "/tenure.test.v1.Things/ChangeThing",
            request_id: None,
            fingerprint: [0; 32],
            now: self.clock.now(),
            trace_id: None,
            new_id: new_ids::derive(&["call", &number]),
        };
        let mut tx = self.store.db.write().await.unwrap();
        for (resource, kind, after) in changes {
            let change = Change { resource: (*resource).to_owned(), kind: *kind, after, changed_fields: &[] };
            append(&mut tx, &self.permit(directory), &call, &change).await.unwrap();
        }
        tx.commit_bookkeeping().await.unwrap();
    }

    /// One sequenced change.
    async fn changed(&self, resource: &str) {
        self.change_in("contoso", &[(resource, ChangeKind::Created, "")]).await;
        self.sequence().await;
    }

    async fn sequence(&self) {
        while sequencer::run_once(&self.store.db, self.clock.now()).await.unwrap() {}
    }

    async fn watch(&self, start: Start) -> Updates<Things> {
        self.watch_with(start, Selection::default(), terms(NEVER)).await.unwrap()
    }

    async fn watch_with(
        &self,
        start: Start,
        selection: Selection,
        terms: Terms,
    ) -> Result<Updates<Things>, Refusal> {
        self.feed.watch(&Caller::Service(Service::Identity), &start, selection, terms).await
    }

    /// Drives the tail to its end.
    async fn tail(&self) {
        while self.feed.0.tail.run_once().await.unwrap() {}
    }
}

fn terms(interval: Duration) -> Terms {
    Terms { interval, token_end: None, right: Box::new(|| Box::pin(async { Ok(()) })) }
}

async fn next(updates: &mut Updates<Things>) -> Update<String> {
    told(updates).await.unwrap()
}

async fn told(updates: &mut Updates<Things>) -> Result<Update<String>, Refusal> {
    tokio::time::timeout(LONG, updates.next()).await.expect("a message comes").expect("the stream goes on")
}

fn token(update: &Update<String>) -> Start {
    Start::Token(update.resume_token.clone())
}

#[tokio::test]
async fn the_first_message_comes_at_once_and_a_quiet_store_sends_checkpoints() {
    let world = World::new().await;
    let mut updates = world.watch_with(Start::Now, Selection::default(), terms(SOON)).await.unwrap();
    for _ in 0..3 {
        let update = next(&mut updates).await;
        assert!(update.checkpoint && update.events.is_empty() && update.backlog == 0);
        assert!(world.watch_with(token(&update), Selection::default(), terms(NEVER)).await.is_ok());
    }
}

#[tokio::test]
async fn every_start_begins_where_it_says() {
    let world = World::of(vec![3, 5]).await;
    world.changed("things/1").await;
    world.changed("things/2").await;
    let mut earliest = world.watch(Start::Earliest).await;
    let first = next(&mut earliest).await;
    assert_eq!((first.checkpoint, first.backlog), (true, 2));
    let all = next(&mut earliest).await;
    assert_eq!(all.events, ["EVENT_TYPE_CREATED 1", "EVENT_TYPE_CREATED 2"]);
    assert_eq!((all.checkpoint, all.backlog), (false, 0));
    let mut again = world.watch(token(&first)).await;
    assert!(next(&mut again).await.checkpoint);
    assert_eq!(next(&mut again).await.events, all.events, "at least once");
    let page = world.feed.page(&Start::Now, &Selection::default(), 10).await.unwrap();
    assert_eq!((page.events.len(), page.backlog), (0, 0));
    world.changed("things/4").await;
    let page = world.feed.page(&token(&page), &Selection::default(), 10).await.unwrap();
    assert_eq!(page.events, ["EVENT_TYPE_CREATED 4"]);
    let mut snapshot = world.watch(Start::Snapshot).await;
    let begin = next(&mut snapshot).await;
    world.changed("things/6").await;
    let snapshot = next(&mut snapshot).await;
    assert_eq!((snapshot.events.len(), snapshot.snapshot_complete), (2, true));
    let behind = world.feed.page(&token(&snapshot), &Selection::default(), 10).await.unwrap();
    assert_eq!(behind.events, ["EVENT_TYPE_CREATED 6"], "what came meanwhile comes behind the snapshot");
    let anew = world.feed.page(&token(&begin), &Selection::default(), 10).await.unwrap();
    assert_eq!(anew.events, snapshot.events, "a token of a snapshot goes on with the snapshot");
}

#[tokio::test]
async fn a_snapshot_that_broke_off_goes_on_where_it_was() {
    let things: Vec<u128> = (1..=450).collect();
    let world = World::of(things).await;
    let (mut events, mut start, mut complete) = (Vec::new(), Start::Snapshot, false);
    while !complete {
        // A stream for each page, each at another replica.
        let replica =
            Feed::new(Things((1..=450).collect()), world.store.db.clone(), &world.key, world.clock.clock());
        let caller = Caller::Service(Service::Identity);
        let mut updates = replica.watch(&caller, &start, Selection::default(), terms(NEVER)).await.unwrap();
        assert!(next(&mut updates).await.checkpoint);
        let page = next(&mut updates).await;
        events.extend(page.events.clone());
        (start, complete) = (token(&page), page.snapshot_complete);
    }
    let expected: Vec<_> = (1..=450).map(|id| format!("snapshot {id}")).collect();
    assert_eq!(events, expected);
}

#[tokio::test]
async fn only_what_is_wanted_is_told_and_tokens_move_all_the_same() {
    let world = World::new().await;
    world
        .change_in("contoso", &[("things/1", ChangeKind::Created, ""), ("things/1", ChangeKind::Updated, "")])
        .await;
    world.change_in("fabrikam", &[("things/2", ChangeKind::Created, "")]).await;
    world.change_in("contoso", &[("others/3", ChangeKind::Created, "")]).await;
    world.sequence().await;
    let contoso = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
    let only = |types: &[EventType], directory| Selection { types: types.to_vec(), directory };
    for (selection, expected) in [
        (only(&[], None), vec!["EVENT_TYPE_CREATED 1", "EVENT_TYPE_UPDATED 1", "EVENT_TYPE_CREATED 2"]),
        (only(&[EventType::Updated], None), vec!["EVENT_TYPE_UPDATED 1"]),
        (only(&[EventType::Created], Some(contoso)), vec!["EVENT_TYPE_CREATED 1"]),
        (only(&[EventType::Purged], None), vec![]),
    ] {
        let page = world.feed.page(&Start::Earliest, &selection, 10).await.unwrap();
        assert_eq!((page.events, page.backlog), (expected.iter().map(ToString::to_string).collect(), 0));
        let mut updates = world.watch_with(Start::Earliest, selection, terms(NEVER)).await.unwrap();
        let mut events = Vec::new();
        loop {
            let update = next(&mut updates).await;
            events.extend(update.events);
            if update.backlog == 0 {
                break;
            }
        }
        assert_eq!(events, expected, "and that it is up to date is told at once");
    }
}

#[tokio::test]
async fn a_message_holds_whole_transactions_and_at_most_a_mebibyte() {
    let world = World::new().await;
    let large = "x".repeat(400 * 1024);
    for _ in 0..3 {
        let two =
            [("things/1", ChangeKind::Created, large.as_str()), ("things/2", ChangeKind::Created, &large)];
        world.change_in("contoso", &two).await;
    }
    world.change_in("contoso", &[("things/3", ChangeKind::Created, &"y".repeat(2 * MOST_BYTES))]).await;
    world.sequence().await;
    let mut updates = world.watch(Start::Earliest).await;
    assert!(next(&mut updates).await.checkpoint);
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(next(&mut updates).await.events.len());
    }
    assert_eq!(events, [2, 2, 2, 1], "one transaction alone may be larger");
}

#[tokio::test]
async fn one_tail_tells_all_watchers_of_what_is_committed() {
    let world = World::new().await;
    let (tasks, shutdown) = (Tasks::new(), Shutdown::new());
    world.feed.worker("tail").start(&tasks, shutdown.clone());
    let mut watchers = [world.watch(Start::Now).await, world.watch(Start::Now).await];
    for watcher in &mut watchers {
        assert!(next(watcher).await.checkpoint);
    }
    for number in 0..20 {
        let told = async {
            for watcher in &mut watchers {
                let update = next(watcher).await;
                assert_eq!(update.events, [format!("EVENT_TYPE_CREATED {number}")]);
            }
        };
        let resource = format!("things/{number}");
        tokio::join!(told, world.changed(&resource));
    }
    shutdown.soft();
    assert!(tasks.close_and_wait(LONG).await.is_clean());
}

#[tokio::test]
async fn k_14_a_watcher_that_does_not_keep_up_is_dropped_and_goes_on_from_its_token() {
    let world = World::new().await;
    let mut slow = world.watch(Start::Now).await;
    let first = next(&mut slow).await;
    // At the end of the log it follows the tail, and reads no more from there.
    assert!(tokio::time::timeout(SOON, slow.next()).await.is_err());
    world.tail().await;
    for number in 0..300 {
        world.changed(&format!("things/{number}")).await;
        world.tail().await;
    }
    let refusal = told(&mut slow).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.reason()), (Code::ResourceExhausted, reason::WATCHER_TOO_SLOW));
    assert!(slow.next().await.is_none(), "a refusal is the end");
    let (mut events, mut start) = (Vec::new(), token(&first));
    loop {
        let page = world.feed.page(&start, &Selection::default(), 100).await.unwrap();
        start = token(&page);
        events.extend(page.events);
        if page.backlog == 0 {
            break;
        }
    }
    assert_eq!(events.len(), 300, "nothing is lost");
}

#[tokio::test]
async fn what_changes_between_the_log_and_the_tail_is_not_missed() {
    let world = World::new().await;
    let mut updates = world.watch(Start::Now).await;
    assert!(next(&mut updates).await.checkpoint);
    assert!(tokio::time::timeout(SOON, updates.next()).await.is_err());
    // The tail begins behind this change.
    world.changed("things/1").await;
    world.tail().await;
    assert_eq!(next(&mut updates).await.events, ["EVENT_TYPE_CREATED 1"]);
}

#[tokio::test]
async fn p_12_a_stream_ends_with_its_token_and_with_its_right() {
    let world = World::new().await;
    let end = world.clock.now().plus(Duration::from_mins(1));
    let with_end = Terms { token_end: Some(end), ..terms(SOON) };
    let mut updates = world.watch_with(Start::Now, Selection::default(), with_end).await.unwrap();
    next(&mut updates).await;
    world.clock.advance(Duration::from_mins(1));
    let refusal = told(&mut updates).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.reason()), (Code::Unauthenticated, reason::TOKEN_EXPIRED));

    let denied = || Refusal::permission_denied("a right", "things");
    let without = Terms { right: Box::new(move || Box::pin(async move { Err(denied()) })), ..terms(SOON) };
    let seat = world.feed.0.seats.take(&Caller::Service(Service::Identity)).unwrap();
    let cursor = world.feed.begin(&Start::Now).await.unwrap();
    let mut watcher = Watcher::new(world.feed.clone(), Selection::default(), without, cursor, seat);
    assert!(watcher.look_at > Instant::now(), "it was asked when it began");
    watcher.look_at = Instant::now();
    assert_eq!(told(&mut Updates::of(watcher)).await.unwrap_err(), denied());
}

#[tokio::test]
async fn a_place_that_is_gone_is_told_apart_from_one_that_never_was() {
    let (world, other) = (World::new().await, World::new().await);
    world.changed("things/1").await;
    let kept = world.feed.page(&Start::Earliest, &Selection::default(), 10).await.unwrap();
    for number in 2..4 {
        world.clock.advance(LEAST_RETENTION);
        world.changed(&format!("things/{number}")).await;
    }
    let late = world.feed.page(&Start::Now, &Selection::default(), 10).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(feed::sweep(&world.store.db, world.clock.now()).await.unwrap(), 1);
    let of_other = Feed::new(Things(vec![]), other.store.db.clone(), &world.key, world.clock.clock());
    let elsewhere = of_other.page(&Start::Now, &Selection::default(), 10).await.unwrap();
    let start = |start: Start| world.watch_with(start, Selection::default(), terms(NEVER));
    // Swept up to this place, and nothing behind it.
    assert!(start(token(&kept)).await.is_ok());
    let refusal = start(Start::Token("nonsense".to_owned())).await.map(|_| ()).unwrap_err();
    assert_eq!((refusal.code(), refusal.reason()), (Code::InvalidArgument, reason::RESUME_TOKEN_INVALID));
    assert_eq!(start(token(&elsewhere)).await.map(|_| ()).unwrap_err(), refusal, "of another log");

    // The last change is undone, as by a copy that was put back.
    let mut tx = world.store.db.write().await.unwrap();
    for statement in
        ["DELETE FROM change_log WHERE position = 3", "UPDATE change_log_head SET last_position = 2"]
    {
        on!(&mut tx, |c| sqlx::query(statement).execute(c).await.map(|_| ())).unwrap();
    }
    tx.commit_bookkeeping().await.unwrap();
    let refusal = start(token(&late)).await.map(|_| ()).unwrap_err();
    assert_eq!((refusal.code(), refusal.reason()), (Code::OutOfRange, reason::RESUME_TOKEN_EXPIRED));
    let earliest = "2026-01-22T12:00:00Z".to_owned();
    let metadata = [("earliest_time", earliest), ("cause", "source_restored".to_owned())];
    assert_eq!(refusal.metadata(), metadata);
}

#[tokio::test]
async fn a_place_that_was_swept_is_too_old() {
    let world = World::new().await;
    let start = world.feed.page(&Start::Now, &Selection::default(), 10).await.unwrap();
    for number in 1..4 {
        world.changed(&format!("things/{number}")).await;
        world.clock.advance(LEAST_RETENTION);
    }
    feed::sweep(&world.store.db, world.clock.now().plus(Duration::from_secs(1))).await.unwrap();
    let refusal = world.feed.page(&token(&start), &Selection::default(), 10).await.unwrap_err();
    assert_eq!(refusal.metadata()[1], ("cause", "too_old".to_owned()));
    let earliest = world.feed.page(&Start::Earliest, &Selection::default(), 10).await.unwrap();
    assert_eq!(earliest.events, ["EVENT_TYPE_CREATED 3"]);
}
