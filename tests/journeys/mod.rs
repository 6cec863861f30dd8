//! The source documents' journeys, asserted.

mod audit_log;
mod azure_joins_office365_directory;
mod broken_identity;
mod demo_tells_the_truth;
mod know_your_role;
mod office365_joins_azure_directory;
mod refusals;
mod telling_nothing;
