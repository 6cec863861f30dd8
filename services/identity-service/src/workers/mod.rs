//! What is done without a caller: positions of the change log, sign-ups that nobody finished, domains that no name has,
//! keys, sweeps.
//!
//! Each duty asks the database what there is to do; none keeps anything in the process (K13) but how far a round is.

mod release_domains;

use std::sync::Arc;
use std::time::Duration;

use access::Call;
use database::{bookkeeping, idempotency};
use kernel::Refusal;
use runtime::duties;
use runtime::worker::Worker;
use uuid::Uuid;

use crate::domain::refused::Refused;
use crate::domain::sign_up::{SignUp, SignUpState};
use crate::store::{self, sign_ups};
use crate::use_cases::UseCases;

/// A sign-up that nobody worked on for this long is finished or given up.
const SIGN_UP_PATIENCE: Duration = Duration::from_mins(2);
/// Answers of sign-ups are kept as long as those of other requests (P-9).
const SIGN_UPS_KEPT: Duration = idempotency::RECORD_LIFETIME;
/// Ended sessions are kept for whoever asks what happened.
const SESSIONS_KEPT: Duration = Duration::from_hours(30 * 24);

/// All duties of the context.
pub(crate) fn all(use_cases: &Arc<UseCases>) -> Vec<Worker> {
    let duty = |name, every, work: fn(Arc<UseCases>) -> Work| {
        let use_cases = Arc::clone(use_cases);
        Worker::new(name, every, move || work(Arc::clone(&use_cases)))
    };
    let rounds = Arc::new(release_domains::Rounds::new());
    let for_domains = Arc::clone(use_cases);
    vec![
        Worker::new("identity: release domains", Duration::from_mins(1), move || {
            let (use_cases, rounds) = (Arc::clone(&for_domains), Arc::clone(&rounds));
            async move { rounds.run_once(&use_cases).await }
        }),
        duties::sequence_changes("identity: sequence changes", &use_cases.db, &use_cases.clock),
        duty("identity: finish sign-ups", Duration::from_secs(30), |all| Box::pin(finish_sign_ups(all))),
        duty("identity: rotate signing keys", Duration::from_hours(1), |all| {
            Box::pin(rotate_signing_keys(all))
        }),
        duty("identity: sweep", Duration::from_mins(10), |all| Box::pin(sweep(all))),
    ]
}

type Work = std::pin::Pin<Box<dyn Future<Output = Result<bool, Refusal>> + Send>>;

/// K18: identity alone finishes or abandons a sign-up; one a turn.
async fn finish_sign_ups(all: Arc<UseCases>) -> Result<bool, Refusal> {
    let now = all.clock.now();
    let mut tx = all.db.read().await.map_err(Refused::from)?;
    let found = sign_ups::oldest_unfinished(&mut tx, now.minus(SIGN_UP_PATIENCE)).await;
    drop(tx);
    let Some(sign_up) = found? else { return Ok(false) };
    bookkeeping(|| async {
        let mut tx = all.db.write().await?;
        sign_ups::postpone(&mut tx, sign_up.id, now).await?;
        tx.commit_bookkeeping().await
    })
    .await?;
    end(&all, &sign_up).await?;
    Ok(true)
}

async fn end(all: &UseCases, sign_up: &SignUp) -> Result<(), Refused> {
    match sign_up.state {
        SignUpState::Created => {
            let call = Call {
                caller: None,
                method: "/tenure.identity.v1.SignUpService/SignUp",
                request_id: None,
                fingerprint: [0; 32],
                now: all.clock.now(),
                trace_id: None,
                new_id: Uuid::nil(),
            };
            all.finish(&call, sign_up).await.map(|_| ())
        }
        SignUpState::Started | SignUpState::Abandoning => all.give_up(sign_up, SignUpState::Abandoned).await,
        SignUpState::Refused => all.clear_up(sign_up).await,
        SignUpState::Done | SignUpState::Abandoned => Ok(()),
    }
}

async fn rotate_signing_keys(all: Arc<UseCases>) -> Result<bool, Refusal> {
    all.keys.rotate(all.clock.now()).await?;
    Ok(false)
}

async fn sweep(all: Arc<UseCases>) -> Result<bool, Refusal> {
    let (db, now) = (&all.db, all.clock.now());
    idempotency::sweep(db, now).await?;
    store::throttles::sweep(db, now).await?;
    sign_ups::sweep(db, now.minus(SIGN_UPS_KEPT)).await?;
    store::sessions::sweep(db, now.minus(SESSIONS_KEPT)).await?;
    Ok(false)
}
