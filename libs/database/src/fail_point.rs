//! Places at which a test has the process killed, to see what a crash just there leaves behind (P-8).
//!
//! Compiled only with the feature `fail-points`, a dev-dependency of the system tests: what `cargo test` builds can be told
//! to die, and what `cargo build` builds, released programs among it, cannot.

/// Where a process can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    /// The lien stands in its context; the hold still says that it is being taken.
    AfterLien,
    /// The lien is taken and the hold noted; nothing of the order is written.
    AfterHold,
    /// A transaction has written all its rows.
    BeforeCommit,
    /// A transaction is committed, and nobody has been answered.
    AfterCommit,
    /// The directory of a sign-up exists in its context; the saga does not know it yet.
    AfterCreateDirectory,
    /// The first user of a sign-up is committed; the directory is not active.
    AfterUser,
    /// The directory of a sign-up is active in its context; identity does not know it yet.
    AfterActivateDirectory,
    /// A refresh token is exchanged in the database; the new one is not on its way.
    BetweenRotateAndAnswer,
    /// A directory has set out to be suspended, deleted or had back; identity does not know it yet.
    AfterSetOut,
    /// identity knows what becomes of a directory, which is still on its way.
    AfterApplyDirectoryState,
    /// Units of a batch are written, and its outer transaction is not committed.
    InBatch,
    /// A batch of changes has positions and a seal, which are not committed.
    InSequencer,
}

impl FailPoint {
    /// All of them, for a test that tries each.
    pub const ALL: [Self; 12] = [
        Self::AfterLien,
        Self::AfterHold,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::AfterCreateDirectory,
        Self::AfterUser,
        Self::AfterActivateDirectory,
        Self::BetweenRotateAndAnswer,
        Self::AfterSetOut,
        Self::AfterApplyDirectoryState,
        Self::InBatch,
        Self::InSequencer,
    ];

    /// The name by which a process is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterLien => "after-lien",
            Self::AfterHold => "after-hold",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::AfterCreateDirectory => "after-create-directory",
            Self::AfterUser => "after-user",
            Self::AfterActivateDirectory => "after-activate-directory",
            Self::BetweenRotateAndAnswer => "between-rotate-and-answer",
            Self::AfterSetOut => "after-set-out",
            Self::AfterApplyDirectoryState => "after-apply-directory-state",
            Self::InBatch => "in-batch",
            Self::InSequencer => "in-sequencer",
        }
    }
}

/// The variable that says where to die, as `NAME` or `NAME:N` for the `N`th time that the place is come by.
pub const VARIABLE: &str = "FAIL_POINT";

/// Comes by a place; without the feature nothing is compiled here.
#[cfg(not(feature = "fail-points"))]
#[inline]
pub const fn reached(_place: FailPoint) {}

/// Comes by a place: where the process was told to die here, nothing of it happens any more.
#[cfg(feature = "fail-points")]
pub fn reached(place: FailPoint) {
    armed::reached(place);
}

#[cfg(feature = "fail-points")]
mod armed {
    use std::process::{self, Command};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{FailPoint, VARIABLE};

    static ARMED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (name, nth) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), nth.parse().expect("a fail point's number is a number")))
    });
    static TIMES: AtomicU64 = AtomicU64::new(0);

    pub(super) fn reached(place: FailPoint) {
        let Some((name, nth)) = &*ARMED else { return };
        if name == place.name() && TIMES.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
            // A real SIGKILL, as of a machine out of memory: no destructor runs and nothing is flushed.
            let _ = Command::new("kill").args(["-KILL", &process::id().to_string()]).status();
            process::abort();
        }
    }
}
