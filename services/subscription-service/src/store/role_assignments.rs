//! Rows of roles held on subscriptions; which role allows what is not told here.

use access::Permit;
use access::permission::SignUpAzure;
use database::{StoreError, Tx, on};
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
    on!(tx, |c| sqlx::query(insert)
        .bind(permit.directory().uuid())
        .bind(assignment.id)
        .bind(subscription.uuid())
        .bind(&assignment.scope)
        .bind(assignment.role_definition)
        .bind(Principal::User(permit.directory(), assignment.user).to_string())
        .bind(permit.actor())
        .bind(assignment.create_time.micros())
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}
