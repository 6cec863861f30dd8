//! Liens: what keeps a directory or one of its domains from being deleted under something that depends on it (K11).
//!
//! What holds a lien back, and when it is let go, its creator decides.

use std::collections::BTreeSet;

use kernel::{DirectoryId, LienId, Timestamp, new_ids};
use serde::{Deserialize, Serialize};

use crate::domain::directory::Directory;
use crate::domain::domain_name::DomainName;
use crate::domain::refused::Refused;

/// The most blockers that a lien names.
pub(crate) const MOST_BLOCKERS: usize = 50;

/// What may not be done while a lien stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Restriction {
    /// Deleting the directory.
    #[serde(rename = "directory.directories.delete")]
    DeleteDirectory,
    /// Deleting a domain.
    #[serde(rename = "directory.domains.delete")]
    DeleteDomain,
}

impl Restriction {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::DeleteDirectory, Self::DeleteDomain];

    /// The restriction on the wire and as stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::DeleteDirectory => "directory.directories.delete",
            Self::DeleteDomain => "directory.domains.delete",
        }
    }

    /// The restriction with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|restriction| restriction.as_str() == name)
    }
}

/// What a lien guards; the directory itself is always the one that the permit names (K9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Guarded {
    /// The directory.
    Directory,
    /// One of its domains.
    Domain(DomainName),
}

impl Guarded {
    /// The name below the directory's, as stored: empty for the directory itself.
    pub(crate) fn below(&self) -> String {
        match self {
            Self::Directory => String::new(),
            Self::Domain(domain) => format!("domains/{domain}"),
        }
    }

    /// The resource name.
    pub(crate) fn name_in(&self, directory: DirectoryId) -> String {
        match self {
            Self::Directory => format!("directories/{directory}"),
            Self::Domain(domain) => format!("directories/{directory}/domains/{domain}"),
        }
    }
}

/// One thing that has to go before a lien can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blocker {
    /// Its name.
    pub resource: String,
    /// Its state, in its own service's words.
    pub state: String,
    /// When it can be gone at the earliest.
    pub earliest_clear_time: Option<Timestamp>,
}

/// What a creator says about a lien.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// What is guarded.
    pub guarded: Guarded,
    /// What may not be done.
    pub restrictions: BTreeSet<Restriction>,
    /// Why.
    pub reason: String,
    /// What for, in the creator's words: one lien per guarded thing, origin and creator.
    pub origin: String,
    /// Who can clear it.
    pub holder: String,
    /// The creator's count; a higher one replaces.
    pub revision: i64,
    /// Examples of what has to go first.
    pub blockers: Vec<Blocker>,
    /// How many there are in all.
    pub blocker_count: i32,
}

/// A lien as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lien {
    /// Its id in the directory.
    pub id: LienId,
    /// What its creator said.
    #[serde(flatten)]
    pub claim: Claim,
    /// When it was created.
    pub create_time: Timestamp,
    /// Who created it, as an actor.
    pub create_principal: String,
}

/// Who acts on a lien.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actor<'a> {
    /// As the change log names it.
    pub name: &'a str,
    /// Whether it holds the operator key.
    pub is_operator: bool,
}

/// What is there already of a creator's liens with one origin on one guarded thing.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// The lien that stands.
    pub standing: Option<Lien>,
    /// The highest revision that was removed.
    pub removed_revision: Option<i64>,
}

/// What comes of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The lien that stands says as much, or something newer: no change, no event.
    Standing(Lien),
    /// A new lien, in the place of the one that stood, if any.
    Placed(Lien),
}

impl Lien {
    /// Places a lien, given what is there of the same guarded thing, origin and creator.
    ///
    /// What stands is told in every state of the directory: whoever lost the answer has to learn what to let go. What
    /// was removed does not come back, however late somebody asks for it.
    pub(crate) fn place(
        directory: &Directory,
        before: &Before,
        claim: Claim,
        creator: &str,
        now: Timestamp,
    ) -> Result<Placement, Refused> {
        if let Some(standing) = &before.standing
            && claim.revision <= standing.claim.revision
        {
            return Ok(Placement::Standing(standing.clone()));
        }
        if let Some(removed_revision) = before.removed_revision.filter(|removed| claim.revision <= *removed) {
            return Err(Refused::LienRemoved { directory: directory.id, removed_revision });
        }
        directory.require_active()?;
        Ok(Placement::Placed(Self {
            id: id_of(directory.id, &claim, creator),
            claim,
            create_time: now,
            create_principal: creator.to_owned(),
        }))
    }

    /// Why it stands, and who can clear it, for whoever is stopped by it.
    pub(crate) fn sentence(&self) -> String {
        let holder = Some(self.claim.holder.as_str()).filter(|holder| !holder.is_empty());
        format!("{} ({})", self.claim.reason, holder.unwrap_or(&self.create_principal))
    }

    /// Refuses whoever is neither the lien's creator nor an operator.
    pub(crate) fn require_creator(&self, directory: DirectoryId, actor: Actor<'_>) -> Result<(), Refused> {
        if actor.is_operator || actor.name == self.create_principal {
            Ok(())
        } else {
            Err(Refused::NotLienCreator { directory, lien: self.id })
        }
    }
}

/// Each revision is a lien with an id of its own: a removal of an earlier one, arriving late, removes nothing else.
fn id_of(directory: DirectoryId, claim: &Claim, creator: &str) -> LienId {
    LienId::from_uuid(new_ids::derive(&[
        "lien",
        &directory.to_string(),
        &claim.guarded.below(),
        &claim.origin,
        creator,
        &claim.revision.to_string(),
    ]))
}

#[cfg(test)]
mod tests {
    use kernel::RegionCode;

    use super::*;
    use crate::domain::directory::{AgreementType, NewDirectory, Settings, State};

    const NOW: Timestamp = Timestamp::from_seconds(1_768_478_400);
    const SUBSCRIPTION: Actor<'static> = Actor { name: "services/subscription-service", is_operator: false };
    const IDENTITY: Actor<'static> = Actor { name: "services/identity-service", is_operator: false };
    const OPERATOR: Actor<'static> = Actor { name: "operators/o", is_operator: true };

    fn directory(state: State) -> Directory {
        let new = NewDirectory {
            display_name: "Contoso".to_owned(),
            initial_domain: "contoso.tenure.internal".parse().unwrap(),
            region_code: RegionCode::UNITED_STATES,
            agreement_type: AgreementType::SelfService,
            settings: Settings { members_may_create_subscriptions: true },
        };
        let id = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
        Directory { state, ..Directory::provision(id, new, NOW) }
    }

    fn claim(revision: i64) -> Claim {
        Claim {
            guarded: Guarded::Directory,
            restrictions: [Restriction::DeleteDirectory].into(),
            reason: "subscriptions".to_owned(),
            origin: "subscription-service".to_owned(),
            holder: String::new(),
            revision,
            blockers: Vec::new(),
            blocker_count: 0,
        }
    }

    fn place(state: State, before: &Before, revision: i64, creator: Actor<'_>) -> Result<Placement, Refused> {
        Lien::place(&directory(state), before, claim(revision), creator.name, NOW)
    }

    /// The lien that is placed after this one, if one is.
    fn placed(standing: Option<&Lien>, revision: i64, creator: Actor<'_>) -> Option<Lien> {
        let before = Before { standing: standing.cloned(), removed_revision: None };
        match place(State::Active, &before, revision, creator).unwrap() {
            Placement::Placed(lien) => Some(lien),
            Placement::Standing(_) => None,
        }
    }

    #[test]
    fn k_11_only_a_higher_revision_replaces_and_it_is_another_lien() {
        let first = placed(None, 5, SUBSCRIPTION).unwrap();
        assert_eq!(placed(Some(&first), 5, SUBSCRIPTION), None);
        assert_eq!(placed(Some(&first), 4, SUBSCRIPTION), None);
        let second = placed(Some(&first), 6, SUBSCRIPTION).unwrap();
        assert_ne!(second.id, first.id);
        assert_eq!(placed(None, 5, SUBSCRIPTION).unwrap().id, first.id);
    }

    #[test]
    fn what_was_removed_comes_back_by_a_higher_revision_alone() {
        let before = Before { standing: None, removed_revision: Some(5) };
        for revision in [4, 5] {
            let refused = place(State::Active, &before, revision, SUBSCRIPTION).unwrap_err();
            assert!(matches!(refused, Refused::LienRemoved { removed_revision: 5, .. }));
        }
        assert!(matches!(place(State::Active, &before, 6, SUBSCRIPTION), Ok(Placement::Placed(_))));
    }

    #[test]
    fn nobody_but_its_creator_and_operators_removes_a_lien_and_each_creator_has_ones_of_its_own() {
        let lien = placed(None, 5, SUBSCRIPTION).unwrap();
        assert_ne!(placed(None, 5, OPERATOR).unwrap().id, lien.id);
        let id = directory(State::Active).id;
        assert!(lien.require_creator(id, SUBSCRIPTION).is_ok() && lien.require_creator(id, OPERATOR).is_ok());
        assert!(lien.require_creator(id, IDENTITY).is_err());
    }

    #[test]
    fn only_an_active_directory_can_be_relied_on_anew() {
        let standing = placed(None, 5, SUBSCRIPTION);
        for state in State::ALL.into_iter().filter(|state| *state != State::Active) {
            let refused = place(state, &Before::default(), 1, SUBSCRIPTION).unwrap_err();
            assert!(matches!(refused, Refused::DirectoryNotActive { state: told, .. } if told == state));
            let before = Before { standing: standing.clone(), removed_revision: None };
            assert!(matches!(place(state, &before, 5, SUBSCRIPTION), Ok(Placement::Standing(_))));
            assert!(place(state, &before, 6, SUBSCRIPTION).is_err());
        }
    }

    #[test]
    fn restrictions_are_stored_under_their_names() {
        for restriction in Restriction::ALL {
            let name = restriction.as_str();
            assert_eq!(serde_json::to_string(&restriction).unwrap(), format!("\"{name}\""));
            assert_eq!(Restriction::named(name), Some(restriction));
        }
        assert_eq!(Restriction::named("directory.directories.rename"), None);
    }
}
