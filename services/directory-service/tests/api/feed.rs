//! P-13 over the wire: list then watch, stream or page, and what ends a stream.

use api::directory::v1::list_directory_changes_request::Start as ListFrom;
use api::directory::v1::watch_directories_request::Start as WatchFrom;
use api::directory::v1::{
    DirectoryEvent, ListDirectoryChangesRequest, WatchDirectoriesRequest, WatchDirectoriesResponse,
};
use api::types::v1::EventType;
use database::sequencer;
use tonic::Streaming;

use super::*;

impl World {
    async fn sequence(&self) {
        while sequencer::run_once(&self.database.db, self.clock.now()).await.unwrap() {}
    }

    async fn watch_token(&self) -> String {
        let list = self.operator(ListDirectoriesRequest::default());
        self.directories().list_directories(list).await.unwrap().into_inner().watch_token
    }

    /// A stream for identity-service.
    async fn watch(
        &self,
        request: WatchDirectoriesRequest,
    ) -> Result<Streaming<WatchDirectoriesResponse>, Status> {
        let mut client = DirectoryServiceClient::new(self.peer.clone().streaming());
        Ok(client.watch_directories(self.identity(request)).await?.into_inner())
    }

    async fn changes(&self, start: ListFrom) -> api::directory::v1::ListDirectoryChangesResponse {
        let request = ListDirectoryChangesRequest { start: Some(start), ..Default::default() };
        self.directories().list_directory_changes(self.identity(request)).await.unwrap().into_inner()
    }
}

fn from(start: WatchFrom) -> WatchDirectoriesRequest {
    WatchDirectoriesRequest { start: Some(start), ..Default::default() }
}

/// All events until the stream says that it is up to date, and its last token.
async fn up_to_date(stream: &mut Streaming<WatchDirectoriesResponse>) -> (Vec<DirectoryEvent>, String) {
    let mut events = Vec::new();
    loop {
        let message = stream.message().await.unwrap().unwrap();
        assert!(!message.resume_token.is_empty(), "every message carries a token");
        events.extend(message.events);
        if message.backlog == 0 {
            return (events, message.resume_token);
        }
    }
}

fn brief(events: &[DirectoryEvent]) -> Vec<(EventType, String, i64, State)> {
    let brief = |event: &DirectoryEvent| {
        let directory = event.directory.as_ref().unwrap();
        assert_eq!(directory.revision, event.revision);
        let label = directory.initial_domain.split('.').next().unwrap().to_owned();
        (event.r#type(), label, event.revision, directory.state())
    };
    events.iter().map(brief).collect()
}

#[tokio::test]
async fn list_then_watch_has_no_gap() {
    let world = World::new().await;
    world.active("contoso").await;
    // Committed, and not positioned before the list is read.
    let token = world.watch_token().await;
    let fabrikam = world.active("fabrikam").await;
    world.liens().create_lien(world.subscription(lien_on(&fabrikam.name))).await.unwrap();
    world.sequence().await;
    let (events, after) =
        up_to_date(&mut world.watch(from(WatchFrom::ResumeToken(token.clone()))).await.unwrap()).await;
    let contoso = |event_type, revision, state| (event_type, "contoso".to_owned(), revision, state);
    let fabrikam = |event_type, revision, state| (event_type, "fabrikam".to_owned(), revision, state);
    let expected = [
        contoso(EventType::Created, 1, State::Provisioning),
        contoso(EventType::Updated, 2, State::Active),
        fabrikam(EventType::Created, 1, State::Provisioning),
        fabrikam(EventType::Updated, 2, State::Active),
    ];
    assert_eq!(brief(&events), expected, "the lien is none of it");
    let made = &events[2];
    assert_eq!(made.actor, "services/identity-service");
    assert_eq!(made.request_id, new_ids::derive(&["create", "fabrikam"]).to_string());
    assert_eq!((made.changed_fields.as_ref(), made.commit_time), (None, events[3].commit_time));
    let changed = events[3].changed_fields.clone().unwrap().paths;
    assert!(changed.contains(&"state".to_owned()), "{changed:?}");
    // The twin tells the same by the same tokens.
    let page = world.changes(ListFrom::ResumeToken(token)).await;
    assert_eq!((&page.events, page.backlog), (&events, 0));
    let page = world.changes(ListFrom::ResumeToken(after)).await;
    assert_eq!(
        (page.events.len(), page.resume_token.is_empty()),
        (0, false),
        "also a page without events has a token"
    );
    assert_eq!(world.watch_token().await, page.resume_token, "the list stands at the same place");
}

#[tokio::test]
async fn a_snapshot_tells_every_directory_deleted_ones_included() {
    let world = World::new().await;
    let active = world.active("contoso").await;
    let gone = world.provisioned("fabrikam").await.name;
    let abandon = AbandonDirectoryRequest { name: gone.clone(), request_id: String::new() };
    world.directories().abandon_directory(world.identity(abandon)).await.unwrap();
    world.sequence().await;
    let mut stream = world.watch(from(WatchFrom::Snapshot(true))).await.unwrap();
    assert!(stream.message().await.unwrap().unwrap().checkpoint);
    let message = stream.message().await.unwrap().unwrap();
    assert!(message.snapshot_complete);
    let mut brief = brief(&message.events);
    brief.sort_by(|one, other| one.1.cmp(&other.1));
    let expected = [
        (EventType::Snapshot, "contoso".to_owned(), 2, State::Active),
        (EventType::Snapshot, "fabrikam".to_owned(), 2, State::Deleted),
    ];
    assert_eq!(brief, expected);
    let one = WatchDirectoriesRequest { directory: active.name.clone(), ..from(WatchFrom::Snapshot(true)) };
    let mut stream = world.watch(one).await.unwrap();
    stream.message().await.unwrap();
    let events = stream.message().await.unwrap().unwrap().events;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].directory, Some(active));
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_at_once() {
    let world = World::new().await;
    let duration = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let now = || from(WatchFrom::Now(true));
    for (field, request) in [
        ("start", WatchDirectoriesRequest::default()),
        ("start", from(WatchFrom::Snapshot(false))),
        ("types[1]", WatchDirectoriesRequest { types: vec![1, 0], ..now() }),
        ("types[0]", WatchDirectoriesRequest { types: vec![99], ..now() }),
        ("directory", WatchDirectoriesRequest { directory: "contoso".to_owned(), ..now() }),
        ("checkpoint_interval", WatchDirectoriesRequest { checkpoint_interval: duration(4), ..now() }),
        ("checkpoint_interval", WatchDirectoriesRequest { checkpoint_interval: duration(61), ..now() }),
    ] {
        let status = world.watch(request).await.unwrap_err();
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
    let status = world.watch(from(WatchFrom::ResumeToken("nonsense".to_owned()))).await.unwrap_err();
    let (code, reason, _) = told(&status);
    assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "RESUME_TOKEN_INVALID"));
    let member = world.member("directories/00000000-0000-4000-8000-000000000001", now());
    let mut client = DirectoryServiceClient::new(world.peer.clone().streaming());
    assert_eq!(reason_of(client.watch_directories(member).await), "PERMISSION_DENIED");
}

fn reason_of<T>(result: Result<T, Status>) -> String {
    told(&result.map(|_| ()).unwrap_err()).1
}

#[tokio::test]
async fn p_12_a_stream_ends_with_its_callers_token() {
    let world = World::new().await;
    let mut stream = world.watch(from(WatchFrom::Now(true))).await.unwrap();
    assert!(stream.message().await.unwrap().unwrap().checkpoint);
    world.clock.advance(Duration::from_mins(5));
    let status = stream.message().await.unwrap_err();
    let (code, reason, _) = told(&status);
    assert_eq!((code, reason.as_str()), (Code::Unauthenticated, "TOKEN_EXPIRED"));
}
