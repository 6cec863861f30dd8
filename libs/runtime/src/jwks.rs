//! How services other than identity get the public keys of access tokens (K21).

use std::time::Duration;

use access::token::{FetchKeys, KeySet, PublicKey};
use api::identity::v1::GetJsonWebKeySetRequest;
use api::identity::v1::session_service_client::SessionServiceClient;
use kernel::Refusal;

use crate::deadline;
use crate::peer::Peer;

/// Fetches the key set through `GetJsonWebKeySet`.
///
/// Others wait for it too: who comes with a short deadline must not make it fail for them.
pub fn fetch_keys(identity: Peer) -> FetchKeys {
    FetchKeys::new(move || deadline::apart(fetch(identity.clone())))
}

async fn fetch(identity: Peer) -> Result<KeySet, Refusal> {
    let response = SessionServiceClient::new(identity)
        .get_json_web_key_set(GetJsonWebKeySetRequest {})
        .await
        .map_err(|_| Refusal::dependency_unavailable("identity-service"))?
        .into_inner();
    let max_age = response.max_age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
    let keys = response.keys.into_iter().map(|key| PublicKey { kid: key.kid, x: key.x }).collect();
    Ok(KeySet { keys, max_age })
}
