//! Rows of roles held on subscriptions; which role allows what is not told here.

use access::Permit;
use access::permission::SignUpAzure;
use database::{StoreError, Tx, defer};
use kernel::{Principal, SubscriptionId};

use crate::domain::azure::OwnerAssignment;

/// Gives the creator the role Owner on the new subscription (S-01).
pub(crate) async fn insert_owner(
    tx: &mut Tx,
    permit: &Permit<SignUpAzure>,
    subscription: SubscriptionId,
    assignment: &OwnerAssignment,
) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO role_assignments (directory, id, subscription, scope, role_definition, principal,
            create_principal, create_time)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    defer!(
        tx,
        insert,
        permit.directory().uuid(),
        assignment.id,
        subscription.uuid(),
        &assignment.scope,
        assignment.role_definition,
        Principal::User(permit.directory(), assignment.user).to_string(),
        permit.actor(),
        assignment.create_time.micros()
    )?;
    Ok(())
}
