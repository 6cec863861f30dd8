//! What this context does: one file a changing rpc, and the reads by noun.
//!
//! Requests arrive parsed; how answers look on the wire is `grpc`'s matter.

pub(crate) mod check_directory_role;
pub(crate) mod create_role_assignment;
pub(crate) mod create_user;
pub(crate) mod delete_role_assignment;
pub(crate) mod domain_holds;
mod end_sign_up;
pub(crate) mod me;
pub(crate) mod refresh_session;
pub(crate) mod revoke_session;
pub(crate) mod role_assignments;
pub(crate) mod sign_in;
pub(crate) mod sign_up;
pub(crate) mod users;

use std::sync::Arc;
use std::time::Duration;

use access::permission::ReadRoleAssignments;
use access::service_key::PrivateKey;
use access::{Caller, Consistency, Service, require};
use aws_lc_rs::hmac;
use database::Db;
use kernel::{Clock, Code, DirectoryId, Ids};
use quick_cache::sync::Cache;
use runtime::holds::Holds;

use crate::Settings;
use crate::domain::refused::Refused;
use crate::judge::LocalJudge;
use crate::password_hasher::PasswordHasher;
use crate::peers::directory::DirectoryPeer;
use crate::signing_keys::SigningKeys;
use crate::store::throttles::Subject;
use crate::tokens::Tokens;

/// How many directories' initial domains are kept; some 100 bytes each.
const MOST_INITIAL_DOMAINS: usize = 16_384;

/// Everything that the use cases share.
pub(crate) struct UseCases {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) judge: LocalJudge,
    pub(crate) hasher: PasswordHasher,
    pub(crate) keys: SigningKeys,
    pub(crate) tokens: Tokens,
    pub(crate) directory: DirectoryPeer,
    holds: Holds,
    pub(crate) settings: Settings,
    throttle: hmac::Key,
    /// Initial domains that were read: a directory keeps its own for ever (D-10).
    initial_domains: Arc<Cache<DirectoryId, Box<str>>>,
}

impl UseCases {
    /// Puts the parts together.
    pub(crate) fn new(
        deps: &crate::Deps,
        judge: LocalJudge,
        keys: SigningKeys,
        directory: DirectoryPeer,
    ) -> Self {
        let (settings, key) = (deps.settings.clone(), &deps.key);
        let lifetime = settings.access_token_lifetime;
        Self {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            judge,
            hasher: PasswordHasher::new(settings.hash_queue),
            tokens: Tokens::new(keys.clone(), deps.ids.clone(), deps.issuer.clone(), key, lifetime),
            keys,
            holds: Holds::new(deps.db.clone(), deps.clock.clone(), deps.directory.clone(), Service::Identity),
            directory,
            settings,
            throttle: throttle_key(key),
            initial_domains: Arc::new(Cache::new(MOST_INITIAL_DOMAINS)),
        }
    }

    /// What a limit is kept under: a MAC, so that the table holds no address and no name.
    pub(crate) fn throttled(&self, limit: &str, subject: &str) -> Subject {
        let mut context = hmac::Context::with_key(&self.throttle);
        for part in [limit, "\0", subject] {
            context.update(part.as_bytes());
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    /// Whether the caller may see who holds which role; only a failure to answer is an error.
    pub(crate) async fn reads_roles(&self, caller: &Caller, directory: DirectoryId) -> Result<bool, Refused> {
        if matches!(caller, Caller::Service(_)) {
            return Ok(true);
        }
        let consistency = Consistency::AtMostFiveSeconds;
        let permit =
            require::<ReadRoleAssignments>(&self.judge, caller, directory, consistency, self.clock.now());
        match permit.await {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.code() == Code::PermissionDenied => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn throttle_key(key: &PrivateKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &key.derive("throttles"))
}

/// What somebody who asks too often is told at least to wait.
pub(crate) const LEAST_WAIT: Duration = Duration::from_secs(1);
