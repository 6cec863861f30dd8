//! The turns of a directory's life, also where they stop half way.

use api::identity::v1::DirectoryState as Noted;
use kernel::{Code, Refusal, reason};

use super::identity::Trouble;
use super::*;
use crate::domain::directory::State;
use crate::domain::lien::{Claim, Guarded, Restriction};
use crate::domain::life_cycle::Turn;
use crate::use_cases::{CreateLien, MoveDirectory};

pub(super) const SUSPEND: &str = "/tenure.directory.v1.DirectoryService/SuspendDirectory";
pub(super) const RESUME: &str = "/tenure.directory.v1.DirectoryService/ResumeDirectory";
pub(super) const DELETE: &str = "/tenure.directory.v1.DirectoryService/DeleteDirectory";
pub(super) const UNDELETE: &str = "/tenure.directory.v1.DirectoryService/UndeleteDirectory";
pub(super) const PLACE: &str = "/tenure.directory.v1.LienService/CreateLien";

/// As long as a move is left to whoever began it, and longer.
const LONG_ENOUGH: Duration = Duration::from_secs(11);

pub(super) fn suspend() -> Turn {
    Turn::Suspend("unpaid".to_owned())
}

pub(super) fn resume() -> Turn {
    Turn::Resume("paid".to_owned())
}

pub(super) fn method_of(turn: &Turn) -> &'static str {
    match turn {
        Turn::Suspend(_) => SUSPEND,
        Turn::Resume(_) => RESUME,
        Turn::Delete => DELETE,
        Turn::Undelete => UNDELETE,
    }
}

impl World {
    pub(super) async fn turn(&self, id: DirectoryId, turn: Turn) -> Result<Directory, Refused> {
        self.turn_as(&self.call(&operator(), method_of(&turn)), id, turn).await
    }

    pub(super) async fn turn_as(
        &self,
        call: &Call,
        id: DirectoryId,
        turn: Turn,
    ) -> Result<Directory, Refused> {
        let command = MoveDirectory { directory: id, etag: None, turn };
        self.use_cases.move_directory(call, &command).await
    }

    pub(super) async fn read(&self, id: DirectoryId) -> Result<Directory, Refused> {
        self.use_cases.get_directory(&operator(), id).await
    }

    pub(super) async fn hold(&self, id: DirectoryId, origin: &str) -> Result<(), Refused> {
        let claim = Claim {
            guarded: Guarded::Directory,
            restrictions: [Restriction::DeleteDirectory].into(),
            reason: "The directory has subscriptions.".to_owned(),
            origin: origin.to_owned(),
            holder: "the billing administrators".to_owned(),
            revision: 1,
            blockers: Vec::new(),
            blocker_count: 3,
        };
        let command = CreateLien { directory: id, claim };
        self.use_cases.create_lien(&self.call(&SUBSCRIPTION, PLACE), &command).await.map(|_| ())
    }

    pub(super) async fn kinds(&self, id: DirectoryId) -> Vec<(String, String)> {
        let mut tx = self.database.db.read().await.unwrap();
        let select = "SELECT kind, actor FROM change_log WHERE resource = $1 ORDER BY event_time, entry";
        let resource = format!("directories/{id}");
        on!(&mut tx, |c| sqlx::query_as(select).bind(resource).fetch_all(c).await).unwrap()
    }
}

fn after(arrived: &Directory) -> (State, i64) {
    (arrived.state, arrived.revision)
}

#[tokio::test]
async fn k_2_identity_knows_before_anybody_is_answered() {
    let world = World::new().await;
    let id = world.active("contoso").await.id;
    let steps = [
        (suspend(), State::Suspended, Noted::Suspended),
        (resume(), State::Active, Noted::Active),
        (Turn::Delete, State::Deleted, Noted::Deleted),
        (Turn::Undelete, State::Active, Noted::Active),
    ];
    let mut revision = 2;
    for (turn, state, noted) in steps {
        let arrived = world.turn(id, turn).await.unwrap();
        assert_eq!(after(&arrived), (state, revision + 2));
        assert_eq!(world.told.of(id), Some((noted, revision + 1)));
        assert_eq!(world.read(id).await.unwrap(), arrived);
        revision += 2;
    }
    assert_eq!(world.count("directory_moves").await, 0);
    let kinds: Vec<_> = world.kinds(id).await.into_iter().map(|(kind, _)| kind).collect();
    // Made, activated, and two halves of each turn; a deletion ends with one.
    let updated = ["UPDATED"; 6];
    assert_eq!(kinds, [&["CREATED"][..], &updated, &["DELETED"], &["UPDATED"; 2]].concat());
}

#[tokio::test]
async fn what_is_as_asked_for_is_no_change() {
    let world = World::new().await;
    let id = world.active("contoso").await.id;
    let suspended = world.turn(id, suspend()).await.unwrap();
    let before = world.rows().await;
    let again = world.turn(id, Turn::Suspend("another reason".to_owned())).await.unwrap();
    assert_eq!((again, world.rows().await), (suspended, before));
    assert_eq!(world.told.calls(), 1, "identity knows already");
}

#[tokio::test]
async fn p_9_a_turn_is_replayed_and_another_content_is_refused() {
    let world = World::new().await;
    let id = world.active("contoso").await.id;
    let call = world.call_with(&operator(), SUSPEND, Some(1), 1);
    let suspended = world.turn_as(&call, id, suspend()).await.unwrap();
    world.turn(id, resume()).await.unwrap();
    assert_eq!(world.turn_as(&call, id, suspend()).await.unwrap(), suspended);
    assert_eq!(world.read(id).await.unwrap().state, State::Active);
    let other = world.call_with(&operator(), SUSPEND, Some(1), 2);
    let refused = world.turn_as(&other, id, Turn::Suspend("x".to_owned())).await.unwrap_err();
    assert!(matches!(refused, Refused::Store(database::StoreError::RequestIdReused)));
}

#[tokio::test]
async fn only_operators_suspend_resume_and_take_back() {
    let world = World::new().await;
    let id = world.active("contoso").await.id;
    let before = world.rows().await;
    for caller in [IDENTITY, SUBSCRIPTION, member(id)] {
        for turn in [suspend(), resume(), Turn::Undelete] {
            let call = world.call(&caller, method_of(&turn));
            let refused = Refusal::from(world.turn_as(&call, id, turn).await.unwrap_err());
            assert_eq!(refused.reason(), reason::PERMISSION_DENIED);
        }
    }
    let by_service = world.turn_as(&world.call(&SUBSCRIPTION, DELETE), id, Turn::Delete).await;
    assert_eq!(Refusal::from(by_service.unwrap_err()).reason(), reason::PERMISSION_DENIED);
    // A member is judged, which cannot be here: nothing happens (P-3).
    let by_member = world.turn_as(&world.call(&member(id), DELETE), id, Turn::Delete).await;
    assert_eq!(Refusal::from(by_member.unwrap_err()).reason(), reason::DEPENDENCY_UNAVAILABLE);
    assert_eq!(world.rows().await, before);
}

/// Each trouble leaves the directory between two states; who asks again, or else the job, brings it home.
#[tokio::test]
async fn p_8_what_stops_half_way_is_finished_by_whoever_asks_again_or_by_the_job() {
    let world = World::new().await;
    for (round, trouble) in [Trouble::Deaf, Trouble::AnswerLost, Trouble::OtherDirectory, Trouble::Outdated]
        .into_iter()
        .enumerate()
    {
        for by_job in [false, true] {
            let id = world.active(&format!("contoso-{round}-{by_job}")).await.id;
            let turns = [suspend(), resume(), Turn::Delete, Turn::Undelete];
            for (number, turn) in turns.into_iter().enumerate() {
                world.told.has(Some(trouble));
                let request =
                    Some(u128::try_from(round * 100 + usize::from(by_job) * 10 + number).unwrap() + 1);
                let call = world.call_with(&operator(), method_of(&turn), request, 1);
                let refused = Refusal::from(world.turn_as(&call, id, turn.clone()).await.unwrap_err());
                assert_eq!(refused.reason(), reason::DEPENDENCY_UNAVAILABLE, "{trouble:?} {turn:?}");
                assert_eq!(world.count("directory_moves").await, 1);
                let between = world.read(id).await.unwrap().state;
                assert!(matches!(between, State::Suspending | State::Deleting), "{between:?}");
                assert!(!world.use_cases.finish_a_move().await.unwrap(), "it is left to its caller first");
                world.told.has(None);
                if by_job {
                    world.clock.advance(LONG_ENOUGH);
                    assert!(world.use_cases.finish_a_move().await.unwrap());
                    assert!(!world.use_cases.finish_a_move().await.unwrap());
                }
                let before = world.rows().await;
                let arrived = world.turn_as(&call, id, turn.clone()).await.unwrap();
                assert_eq!(world.read(id).await.unwrap(), arrived, "{trouble:?} {turn:?}");
                assert_eq!(world.count("directory_moves").await, 0);
                // What the job has finished is answered from its record.
                assert_eq!(world.rows().await == before, by_job, "{trouble:?} {turn:?}");
                let noted = match arrived.state {
                    State::Active => Noted::Active,
                    State::Suspended => Noted::Suspended,
                    State::Provisioning | State::Suspending | State::Deleting | State::Deleted => {
                        Noted::Deleted
                    }
                };
                assert_eq!(world.told.of(id), Some((noted, arrived.revision - 1)));
                // Nobody but who was allowed it is told to have done it.
                let kinds = world.kinds(id).await;
                assert!(kinds[2..].iter().all(|(_, actor)| actor == "operators/of-the-tests"), "{kinds:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_job_does_not_trip_over_identitys_silence_and_takes_the_oldest_first() {
    let world = World::new().await;
    world.told.has(Some(Trouble::Deaf));
    let mut left = Vec::new();
    for label in ["contoso", "fabrikam"] {
        let id = world.active(label).await.id;
        world.turn(id, suspend()).await.unwrap_err();
        left.push(id);
    }
    world.clock.advance(LONG_ENOUGH);
    world.use_cases.finish_a_move().await.unwrap_err();
    world.told.has(None);
    // The first is postponed; it does not stand in the way of the second.
    assert!(world.use_cases.finish_a_move().await.unwrap());
    assert_eq!(world.read(left[0]).await.unwrap().state, State::Suspending);
    assert_eq!(world.read(left[1]).await.unwrap().state, State::Suspended);
    assert!(!world.use_cases.finish_a_move().await.unwrap());
    world.clock.advance(LONG_ENOUGH);
    assert!(world.use_cases.finish_a_move().await.unwrap());
    assert_eq!(world.read(left[0]).await.unwrap().state, State::Suspended);
}

#[tokio::test]
async fn what_hangs_can_be_turned_round_and_the_later_wish_counts() {
    let world = World::new().await;
    let id = world.active("contoso").await.id;
    world.told.has(Some(Trouble::AnswerLost));
    world.turn(id, suspend()).await.unwrap_err();
    world.told.has(None);
    let resumed = world.turn(id, resume()).await.unwrap();
    assert_eq!(after(&resumed), (State::Active, 5));
    assert_eq!(world.told.of(id), Some((Noted::Active, 4)));
    world.clock.advance(LONG_ENOUGH);
    assert!(!world.use_cases.finish_a_move().await.unwrap());
}

/// A resumption whose word to identity is overtaken by a suspension: the higher revision counts there, and here nobody
/// is told that the directory was resumed.
#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_turn_is_told_so_and_undoes_nothing() {
    let world = Arc::new(World::new().await);
    let id = world.active("contoso").await.id;
    world.turn(id, suspend()).await.unwrap();
    world.told.has(Some(Trouble::Held));
    let mut resuming = tokio::task::JoinSet::new();
    resuming.spawn({
        let world = Arc::clone(&world);
        async move { world.turn(id, resume()).await }
    });
    world.told.reached.notified().await;
    world.told.has(None);
    let suspended = world.turn(id, suspend()).await.unwrap();
    world.told.release.notify_one();
    let refused = Refusal::from(resuming.join_next().await.unwrap().unwrap().unwrap_err());
    assert_eq!((refused.code(), refused.reason()), (Code::Aborted, reason::WRITE_CONFLICT));
    assert_eq!(world.read(id).await.unwrap(), suspended);
    assert_eq!(world.told.of(id).unwrap().0, Noted::Suspended);
}
