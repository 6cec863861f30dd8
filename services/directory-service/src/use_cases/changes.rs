//! Who may follow the changes of all directories; what the feed tells is no matter of rules.

use access::Caller;
use access::permission::ListDirectories;
use kernel::Refusal;

use super::{UseCases, require_everywhere};

impl UseCases {
    /// `WatchDirectories` and `ListDirectoryChanges`: whoever sees every directory; asked again while a stream lasts
    /// (P-12).
    pub(crate) fn may_watch(caller: &Caller) -> Result<(), Refusal> {
        require_everywhere::<ListDirectories>(caller, "directories")
    }
}
