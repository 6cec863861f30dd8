//! What the feed of directories repairs here: states that were never pushed (K2, K14), and no more than that.

use api::directory::v1::directory::State;
use api::directory::v1::{Directory, DirectoryEvent, WatchDirectoriesResponse};
use api::types::v1::EventType;
use kernel::{Code, Reason, Refusal};
use runtime::status::status;
use tonic::Status;

use super::directory::Told;
use super::world::*;

fn event(event_type: EventType, name: &str, state: State, revision: i64) -> DirectoryEvent {
    let mut directory = Directory { name: name.to_owned(), revision, ..Directory::default() };
    directory.set_state(state);
    DirectoryEvent {
        r#type: event_type.into(),
        directory: Some(directory),
        revision,
        ..DirectoryEvent::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a stream has such items")]
fn message(events: Vec<DirectoryEvent>) -> Result<WatchDirectoriesResponse, Status> {
    let resume_token = "a token".to_owned();
    Ok(WatchDirectoriesResponse { events, resume_token, ..WatchDirectoriesResponse::default() })
}

fn snapshot(directories: &[(&str, State, i64)]) -> Told {
    let told =
        |(name, state, revision): &(&str, State, i64)| event(EventType::Snapshot, name, *state, *revision);
    let mut events: Vec<_> = directories.iter().map(told).collect();
    events.sort_by_key(|event| event.directory.as_ref().unwrap().name.clone());
    let mut all = message(events).unwrap();
    all.snapshot_complete = true;
    vec![message(vec![]), Ok(all)]
}

fn restored() -> Told {
    let reason = Reason::new("RESUME_TOKEN_EXPIRED");
    let refusal = Refusal::new(Code::OutOfRange, reason, "gone").with("cause", "source_restored");
    vec![Err(status(access::Service::Directory, &refusal))]
}

async fn told(world: &World, feeds: Vec<Told>) {
    for feed in feeds {
        world.directory.tells(feed);
        world.work("follow").await.unwrap();
    }
}

/// Whether the person signs in, and a token given before still passes.
async fn lives(world: &World, person: &Persona) -> (bool, bool) {
    let signs_in = world.try_sign_in(&person.user.user_principal_name, PASSWORD).await.is_ok();
    let request = api::identity::v1::GetMeRequest {};
    (signs_in, world.users().get_me(as_bearer(&person.token, request)).await.is_ok())
}

#[tokio::test]
async fn k_2_a_state_that_was_never_pushed_comes_with_the_feed_and_the_higher_revision_wins() {
    let world = World::new().await;
    let (ada, eve) = (world.founded("contoso").await, world.founded("fabrikam").await);
    let (contoso, fabrikam) = (ada.directory(), eve.directory());
    told(&world, vec![snapshot(&[(&contoso, State::Active, 2), (&fabrikam, State::Active, 2)])]).await;
    assert_eq!(lives(&world, &ada).await, (true, true));
    for (state, revision, expected) in [
        (State::Suspending, 3, false),
        // Late, and of no more use.
        (State::Active, 2, false),
        (State::Active, 5, true),
        (State::Suspended, 4, true),
        (State::Deleted, 6, false),
    ] {
        let news = event(EventType::Updated, &contoso, state, revision);
        told(&world, vec![vec![message(vec![news])]]).await;
        assert_eq!(lives(&world, &ada).await, (expected, expected), "{state:?} {revision}");
        assert_eq!(lives(&world, &eve).await, (true, true));
    }
    assert_eq!(world.count("directory_states").await, 2, "the row stays after the end");
}

#[tokio::test]
async fn k_14_what_a_restored_source_does_not_have_lets_nobody_in_until_it_comes_again() {
    let world = World::new().await;
    let (ada, eve) = (world.founded("contoso").await, world.founded("fabrikam").await);
    let (contoso, fabrikam) = (ada.directory(), eve.directory());
    told(&world, vec![snapshot(&[(&contoso, State::Active, 7), (&fabrikam, State::Active, 2)])]).await;
    told(&world, vec![restored(), snapshot(&[(&contoso, State::Active, 2)])]).await;
    assert_eq!(lives(&world, &ada).await, (true, true));
    assert_eq!(lives(&world, &eve).await, (false, false));
    let news = event(EventType::Updated, &contoso, State::Suspended, 3);
    let created = event(EventType::Created, &fabrikam, State::Active, 1);
    told(&world, vec![vec![message(vec![news, created])]]).await;
    assert_eq!(lives(&world, &ada).await, (false, false), "revisions count on from the restored one");
    assert_eq!(lives(&world, &eve).await, (true, true));
}

#[tokio::test]
async fn directories_of_nobody_here_and_those_being_made_are_left_alone() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    world.execute("UPDATE directory_states SET state = 'PROVISIONING', revision = 1").await;
    let unknown = "directories/00000000-0000-4000-8000-000000000001";
    told(&world, vec![snapshot(&[(unknown, State::Active, 2)])]).await;
    assert_eq!(world.count("directory_states").await, 1);
    assert_eq!(
        world.count("directory_states WHERE state = 'PROVISIONING'").await,
        1,
        "its sign-up ends it (K18)"
    );
    told(&world, vec![vec![message(vec![event(EventType::Updated, &ada.directory(), State::Active, 2)])]])
        .await;
    assert_eq!(lives(&world, &ada).await, (true, true));
}
