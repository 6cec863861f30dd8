//! Where the bits of domains' challenges come from: a MAC under the service's key, which nobody else can compute (K23).
//!
//! What a challenge is good for, and for how long, is the domain's matter.

use access::service_key::PrivateKey;
use aws_lc_rs::hmac;
use kernel::{DirectoryId, Timestamp};

use crate::domain::domain_name::DomainName;

/// Makes challenges; every replica with the same key makes the same.
#[derive(Debug, Clone)]
pub(crate) struct Challenges(hmac::Key);

impl Challenges {
    /// Challenges under a secret that is derived from the service's key.
    pub(crate) fn new(key: &PrivateKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key.derive("domain-challenge")))
    }

    /// The 128 bits of a domain in a directory, from a moment on. A call that is repeated makes the same.
    pub(crate) fn bits(&self, directory: DirectoryId, domain: &DomainName, from: Timestamp) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(directory.uuid().as_bytes());
        context.update(&from.micros().to_be_bytes());
        context.update(domain.as_str().as_bytes());
        let tag = context.sign();
        tag.as_ref()[..16].try_into().expect("HMAC-SHA256 has 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use kernel::new_ids;

    use super::*;

    #[test]
    fn k_23_each_directory_domain_and_moment_has_bits_of_its_own() {
        let challenges = Challenges::new(&PrivateKey::generate().unwrap());
        let [one, other] = ["one", "other"].map(|name| DirectoryId::from_uuid(new_ids::derive(&[name])));
        let [contoso, fabrikam] = ["contoso.com", "fabrikam.com"].map(|name| name.parse().unwrap());
        let [now, later] = [1, 2].map(Timestamp::from_seconds);
        let bits = challenges.bits(one, &contoso, now);
        assert_eq!(challenges.bits(one, &contoso, now), bits);
        for different in [
            challenges.bits(other, &contoso, now),
            challenges.bits(one, &fabrikam, now),
            challenges.bits(one, &contoso, later),
            Challenges::new(&PrivateKey::generate().unwrap()).bits(one, &contoso, now),
        ] {
            assert_ne!(different, bits);
        }
    }
}
