//! What this context needs to know of a directory, as directory-service tells it; of it no more is kept
//! than the state and revision that were last heard of (K12).

use kernel::DirectoryId;

use super::refused::Refused;

/// A directory at the moment of a decision.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryFacts {
    pub(crate) id: DirectoryId,
    pub(crate) display_name: String,
    pub(crate) primary_domain: String,
    /// The state's name, to be told where it is not active.
    pub(crate) state: String,
    /// The revision that all of this was told of.
    pub(crate) revision: i64,
    pub(crate) is_active: bool,
    /// Whether it is under an Enterprise Agreement.
    pub(crate) is_enterprise: bool,
    pub(crate) members_may_create_subscriptions: bool,
}

impl DirectoryFacts {
    /// Whether anything can be ordered for the directory, with or without accepted terms; this comes before the offer,
    /// also before whether there is one.
    pub(crate) fn require_order(&self, accept_terms: bool) -> Result<(), Refused> {
        self.require_active()?;
        self.require_self_service()?;
        if accept_terms { Ok(()) } else { Err(Refused::TermsNotAccepted) }
    }

    /// Refuses a directory that is not active.
    pub(crate) fn require_active(&self) -> Result<(), Refused> {
        if self.is_active {
            return Ok(());
        }
        Err(Refused::DirectoryNotActive { directory: self.id, state: self.state.clone() })
    }

    /// Refuses a directory under an Enterprise Agreement (E-01).
    pub(crate) fn require_self_service(&self) -> Result<(), Refused> {
        if self.is_enterprise { Err(Refused::EnterpriseDirectory(self.id)) } else { Ok(()) }
    }
}

#[cfg(test)]
pub(crate) fn contoso() -> DirectoryFacts {
    DirectoryFacts {
        id: DirectoryId::from_uuid(kernel::new_ids::derive(&["contoso"])),
        display_name: "Contoso".to_owned(),
        primary_domain: "contoso.tenure.internal".to_owned(),
        state: "STATE_ACTIVE".to_owned(),
        revision: 2,
        is_active: true,
        is_enterprise: false,
        members_may_create_subscriptions: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_against_every_order_is_told_in_its_order() {
        let mut directory = contoso();
        assert!(directory.require_order(true).is_ok());
        assert!(matches!(directory.require_order(false), Err(Refused::TermsNotAccepted)));
        directory.is_enterprise = true;
        assert!(matches!(directory.require_order(false), Err(Refused::EnterpriseDirectory(_))));
        directory.is_active = false;
        assert!(matches!(directory.require_order(false), Err(Refused::DirectoryNotActive { .. })));
    }
}
