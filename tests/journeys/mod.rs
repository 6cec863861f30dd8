//! The source documents' journeys, asserted.

mod azure_joins_office365_directory;
mod broken_identity;
mod demo_tells_the_truth;
mod know_your_role;
mod office365_joins_azure_directory;
mod own_domain;
mod refusals;
mod telling_nothing;
