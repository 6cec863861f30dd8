//! Hashing passwords with Argon2id: two at a time, a short queue, and no for the rest at once (K18).
//!
//! Which passwords are acceptable is `domain/password.rs`' matter.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{CustomizedPasswordHasher, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash};
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::domain::password::{ClaimedPassword, Password};
use crate::domain::refused::Refused;

/// How many hashes are computed at once: each fills a core and 19 MiB.
const AT_ONCE: usize = 2;
/// When somebody who found the queue full may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a thread keeps its memory when nobody signs in.
const MEMORY_KEPT: Duration = Duration::from_secs(1);
/// How far behind everything else hashes are computed, on the scale of `nice`.
const NICENESS: i32 = 5;
/// The hash that the password of an unknown user is compared with: the same work, and, being 32 random bytes, the hash
/// of nothing that anybody knows.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$xVD5FZcdtDqTx488L6SzvNVnnws/TGd0yaxszOjIx3M";

/// The pool that all hashing goes through.
#[derive(Debug, Clone)]
pub(crate) struct PasswordHasher {
    queue: Arc<Semaphore>,
    /// Half of the queue: sign-ups hold their places while a peer answers, and must leave some to sign-ins.
    signing_up: Arc<Semaphore>,
    running: Arc<Semaphore>,
    idle: Idle,
}

type Job = Box<dyn FnOnce(&Argon2id) + Send>;
type Thread = mpsc::Sender<Job>;
/// The threads that hash nothing; who was last at work is the next, for its memory.
type Idle = Arc<Mutex<Vec<Thread>>>;

/// A place in the queue; whoever has none is told so before anything is spent.
#[derive(Debug)]
pub(crate) struct Place {
    _held: OwnedSemaphorePermit,
    _signing_up: Option<OwnedSemaphorePermit>,
}

/// One of the hashes that are computed at once.
#[derive(Debug)]
pub(crate) struct Turn {
    thread: Thread,
    idle: Idle,
    // Given back after the thread, which `drop` does.
    _place: Place,
    _running: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.thread.clone());
    }
}

impl PasswordHasher {
    /// A pool whose queue has this many places.
    pub(crate) fn new(queue: usize) -> Self {
        Self {
            queue: Arc::new(Semaphore::new(queue.max(1))),
            signing_up: Arc::new(Semaphore::new((queue / 2).max(1))),
            running: Arc::new(Semaphore::new(AT_ONCE)),
            idle: start_threads(),
        }
    }

    /// Takes a place in the queue, or refuses at once.
    pub(crate) fn place(&self) -> Result<Place, Refused> {
        Ok(Place { _held: taken(&self.queue)?, _signing_up: None })
    }

    /// As [`Self::place`], for what holds it longer than the hash takes.
    pub(crate) fn sign_up_place(&self) -> Result<Place, Refused> {
        let signing_up = taken(&self.signing_up)?;
        Ok(Place { _held: taken(&self.queue)?, _signing_up: Some(signing_up) })
    }

    /// Waits until it is this place's turn.
    pub(crate) async fn turn(&self, place: Place) -> Result<Turn, Refused> {
        let running = Arc::clone(&self.running).acquire_owned().await;
        let running = running.map_err(|_| Refused::Defect("the hash pool is closed"))?;
        let thread = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let thread = thread.ok_or(Refused::Defect("as many threads hash as may be at work"))?;
        Ok(Turn { thread, idle: Arc::clone(&self.idle), _place: place, _running: running })
    }

    /// Hashes a new password, with a salt of its own.
    pub(crate) async fn hash(&self, turn: Turn, password: Password) -> Result<String, Refused> {
        let hashed = self
            .run(turn, move |argon2id| {
                argon2id.hash(password.expose(), &Salt::generate()).map(|hash| hash.to_string())
            })
            .await?;
        hashed.map_err(|_| Refused::Defect("a password could not be hashed"))
    }

    /// Compares a claimed password with a hash; without one, with a hash that nothing equals.
    pub(crate) async fn verify(
        &self,
        turn: Turn,
        claimed: ClaimedPassword,
        hash: Option<&str>,
    ) -> Result<bool, Refused> {
        let hash = hash.unwrap_or(NOBODY).to_owned();
        let fits = self
            .run(turn, move |argon2id| {
                let parsed = PasswordHash::new(&hash).map_err(|_| ())?;
                Ok::<_, ()>(argon2id.verify_password(claimed.expose(), &parsed).is_ok())
            })
            .await?;
        fits.map_err(|()| Refused::Defect("a stored password hash cannot be read"))
    }

    /// Runs one hash; it runs to its end even if nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&Argon2id) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let (done, result) = oneshot::channel();
        let thread = turn.thread.clone();
        let job = Box::new(move |argon2id: &Argon2id| {
            let worked = work(argon2id);
            // Before the answer: whoever has it finds the place free.
            drop(turn);
            // Whoever asked may have gone.
            let _ = done.send(worked);
        });
        thread.send(job).map_err(|_| Refused::Defect("the hash pool has ended"))?;
        result.await.map_err(|_| Refused::Defect("a hash ended early"))
    }
}

/// Argon2id in memory that is kept from one hash to the next: to have 19 MiB given by the system costs a good part of a
/// hash.
#[derive(Default)]
struct Argon2id {
    memory: RefCell<Vec<Block>>,
}

impl Argon2id {
    /// Hashes with the parameters of new passwords.
    fn hash(&self, password: &[u8], salt: &Salt) -> password_hash::Result<PasswordHash> {
        self.hash_password_customized(password, salt, None, None, Params::default())
    }
}

impl CustomizedPasswordHasher<PasswordHash> for Argon2id {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        let mut output = vec![0; params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
        let mut memory = self.memory.borrow_mut();
        memory.resize(params.block_count(), Block::new());
        let argon2 = Argon2::new(algorithm, version, params);
        argon2.hash_password_into_with_memory(password, salt, &mut output, memory.as_mut_slice())?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(argon2.params())?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(&output)?),
        })
    }
}

/// Starts the threads that hash; they end with the last who can send to them.
///
/// Threads of their own: each keeps its memory, tokio would start hundreds, and they run behind everything else, so that
/// checks stay fast while many people sign in (K18).
fn start_threads() -> Idle {
    let start = |_| {
        let (sender, jobs) = mpsc::channel::<Job>();
        let thread = thread::Builder::new().name("password-hash".to_owned());
        let started = thread.spawn(move || {
            let _ = setpriority_process(Some(gettid()), NICENESS);
            let mut argon2id = Argon2id::default();
            loop {
                let is_free = argon2id.memory.get_mut().is_empty();
                let job =
                    if is_free { jobs.recv().map_err(Into::into) } else { jobs.recv_timeout(MEMORY_KEPT) };
                match job {
                    // The one who waits is told by what the job drops.
                    Ok(job) => drop(catch_unwind(AssertUnwindSafe(|| job(&argon2id)))),
                    Err(RecvTimeoutError::Timeout) => argon2id = Argon2id::default(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        started.expect("a process that cannot start a thread cannot serve");
        sender
    };
    Arc::new(Mutex::new((0..AT_ONCE).map(start).collect()))
}

/// One of the places, or a refusal at once.
fn taken(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refused> {
    Arc::clone(places).try_acquire_owned().map_err(|_| Refused::RateLimited { wait: RETRY_AFTER })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn turn(pool: &PasswordHasher) -> Turn {
        pool.turn(pool.place().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_and_no_other() {
        let pool = PasswordHasher::new(4);
        let password = Password::parse("Passw0rd!").unwrap();
        let hash = pool.hash(turn(&pool).await, password.clone()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let verify = |text: &str| {
            let (pool, hash, claimed) = (pool.clone(), hash.clone(), ClaimedPassword::new(text));
            async move { pool.verify(turn(&pool).await, claimed, Some(&hash)).await.unwrap() }
        };
        assert!(verify("Passw0rd!").await);
        assert!(!verify("passw0rd!").await);
        assert!(!verify("").await);
        let other = pool.hash(turn(&pool).await, password).await.unwrap();
        assert_ne!(hash, other, "each hash has a salt of its own");
    }

    #[tokio::test]
    async fn nobody_has_a_password() {
        let pool = PasswordHasher::new(4);
        let claimed = ClaimedPassword::new("no password is empty or this");
        assert!(!pool.verify(turn(&pool).await, claimed, None).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_user_costs_what_a_known_one_does() {
        let pool = PasswordHasher::new(4);
        let hash = pool.hash(turn(&pool).await, Password::parse("Passw0rd!").unwrap()).await.unwrap();
        let (known, nobody) = (PasswordHash::new(&hash).unwrap(), PasswordHash::new(NOBODY).unwrap());
        assert_eq!(
            (known.algorithm, known.version, &known.params),
            (nobody.algorithm, nobody.version, &nobody.params)
        );
        let length = |hash: &PasswordHash| hash.hash.as_ref().map(argon2::password_hash::phc::Output::len);
        assert_eq!(length(&known), length(&nobody));
    }

    #[tokio::test]
    async fn a_hash_that_panics_stops_no_later_one() {
        let pool = PasswordHasher::new(4);
        for _ in 0..AT_ONCE {
            let refused = pool.run(turn(&pool).await, |_| panic!("on purpose")).await;
            assert!(matches!(refused, Err::<(), _>(Refused::Defect(_))));
        }
        assert!(pool.hash(turn(&pool).await, Password::parse("Passw0rd!").unwrap()).await.is_ok());
    }

    #[test]
    fn sign_ups_leave_half_of_the_queue_to_others() {
        let pool = PasswordHasher::new(4);
        let _held = (pool.sign_up_place().unwrap(), pool.sign_up_place().unwrap());
        assert!(matches!(pool.sign_up_place(), Err(Refused::RateLimited { .. })));
        let _others = (pool.place().unwrap(), pool.place().unwrap());
        assert!(matches!(pool.place(), Err(Refused::RateLimited { .. })));
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let pool = PasswordHasher::new(2);
        let held = (pool.place().unwrap(), pool.place().unwrap());
        assert!(matches!(pool.place(), Err(Refused::RateLimited { .. })));
        drop(held);
        assert!(pool.place().is_ok());
    }
}
