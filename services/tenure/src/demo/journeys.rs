//! The journeys of the two source documents, and what is refused on the way.

use api::subscription::v1::Subscription;
use api::subscription::v1::subscription::Owner;

use tonic::Code;

use super::Farewell;
use super::stage::{Actor, Stage, WentOtherwise, told};

const OFFICE365_E3: &str = "products/enterprisepack/offers/monthly";
const OFFICE365_E5: &str = "products/enterprisepremium/offers/monthly";
const VISIO: &str = "products/visioclient/offers/monthly";
const AZURE_FREE_TRIAL: &str = "products/azure/offers/ms-azr-0044p";
const AZURE_PAY_AS_YOU_GO: &str = "products/azure/offers/ms-azr-0003p";
const AZURE_ENTERPRISE: &str = "products/azure/offers/ms-azr-0017p";

/// The text of 2020: an Office 365 account signs up for Azure, without any administrator role.
pub(super) async fn office365_first(stage: &mut Stage<'_>) -> Result<(), WentOtherwise> {
    stage.scene("1. Office 365 first: its users sign up for Azure with the same account");
    let ada = stage.sign_up("Fabrikam", "fabrikam", ("ada", "Ada Lindqvist"), false).await?;
    attach(stage, &ada, OFFICE365_E3).await?;
    let cy = stage.add_user(&ada, "cy", "Cy Okafor").await?;
    let roles = told("Cy asks for their role", stage.my_roles(&cy).await)?;
    stage.must(roles == ["User"], format!("Cy Okafor's organizational role: {}", roles.join(", ")))?;
    let elsewhere = "directories/00000000-0000-4000-8000-000000000001";
    let wrong = stage.sign_up_azure(&cy, AZURE_FREE_TRIAL, elsewhere).await;
    stage.must_refuse(
        "Cy Okafor expects the subscription in another directory",
        wrong,
        (Code::FailedPrecondition, "DIRECTORY_MISMATCH"),
    )?;
    let directory = cy.directory.clone();
    let azure = told("Cy signs up for Azure", stage.sign_up_azure(&cy, AZURE_FREE_TRIAL, &directory).await)?;
    let landed = lands(stage, &cy, &azure).await?;
    let owned_by_cy = azure.owner == Some(Owner::OwnerUser(cy.user.name.clone()));
    stage.must(
        owned_by_cy && azure.directory == ada.directory,
        format!("Cy Okafor signs up for Azure: {landed}"),
    )?;
    let users = told("Ada lists all users", stage.users(&ada, "").await)?;
    let names: Vec<_> = users.iter().map(|user| user.display_name.as_str()).collect();
    stage.must(names.len() == 2, format!("All users of the directory: {}", names.join(", ")))
}

/// The text of 2017: the owner of an Azure subscription gets Office 365 for the same directory.
pub(super) async fn azure_first(stage: &mut Stage<'_>) -> Result<Farewell, WentOtherwise> {
    stage.scene("2. Azure first: an administrator gets Office 365 for the users of the directory");
    let kim = stage.sign_up("Contoso", "contoso", ("kim", "Kim Wallace"), false).await?;
    let azure = told("Kim signs up for Azure", stage.sign_up_azure(&kim, AZURE_PAY_AS_YOU_GO, "").await)?;
    let landed = lands(stage, &kim, &azure).await?;
    stage.must(azure.directory == kim.directory, format!("Kim Wallace signs up for Azure: {landed}"))?;
    let preview = told("Kim previews the order", stage.preview(&kim, OFFICE365_E3).await)?;
    let lines: Vec<_> =
        preview.lines.iter().map(|line| format!("{} × {}", line.quantity, line.description)).collect();
    let confirm = format!(
        "Confirm your order: {}, total {}, trial until {}, for {} ({})",
        lines.join("; "),
        money(preview.total.as_ref()),
        date(preview.trial_end_time.as_ref()),
        preview.directory_display_name,
        preview.directory_primary_domain,
    );
    stage.must(preview.directory == kim.directory && preview.blockers.is_empty(), confirm)?;
    let office365 = attach(stage, &kim, OFFICE365_E3).await?;
    let bo = stage.add_user(&kim, "bo", "Bo Hansen").await?;
    stage.assign(&kim, &bo, "billing-administrator").await?;
    attach(stage, &bo, VISIO).await?;
    let cy = stage.add_user(&kim, "cy", "Cy Arden").await?;
    must_lack_the_role(stage, &cy, "a member").await?;
    let lea = stage.add_user(&kim, "lea", "Lea Moreau").await?;
    stage.assign(&kim, &lea, "license-administrator").await?;
    must_lack_the_role(stage, &lea, "a License Administrator").await?;
    let users = told("Kim lists active users", stage.users(&kim, "state = STATE_ACTIVE").await)?;
    let names: Vec<_> = users.iter().map(|user| user.display_name.as_str()).collect();
    stage.must(names.len() == 4, format!("Active users: {}", names.join(", ")))?;
    Ok(Farewell {
        user_principal_name: kim.user.user_principal_name.clone(),
        password: kim.password,
        directory: kim.directory,
        subscription: office365.name,
    })
}

/// "How to know your role", and what a role or session that was taken away means at the next call.
pub(super) async fn know_your_role(stage: &mut Stage<'_>) -> Result<(), WentOtherwise> {
    stage.scene("3. How to know your role, and what taking it away means");
    let ida = stage.sign_up("Litware", "litware", ("ida", "Ida Novak"), false).await?;
    let ben = stage.add_user(&ida, "ben", "Ben Sato").await?;
    let assignment = stage.assign(&ida, &ben, "billing-administrator").await?;
    let roles = told("Ben asks for his role", stage.my_roles(&ben).await)?;
    let told_roles = format!("Ben Sato's organizational role: {}", roles.join(", "));
    stage.must(roles == ["Billing Administrator"], told_roles)?;
    attach(stage, &ben, VISIO).await?;
    told("Ida takes the role away", stage.unassign(&ida, &assignment).await)?;
    let roles = told("Ben asks for his role again", stage.my_roles(&ben).await)?;
    stage
        .must(roles == ["User"], format!("Ida Novak takes it away; his role is now: {}", roles.join(", ")))?;
    let next = stage.attach(&ben, &ben.directory, OFFICE365_E3).await;
    stage.must_refuse(
        "Ben Sato attaches with the same, still valid token",
        next,
        (Code::PermissionDenied, "PERMISSION_DENIED"),
    )?;
    told("Ben ends his session", stage.revoke(&ben).await)?;
    stage.tell("Ben Sato ends his session");
    let (roles, directory) = (stage.my_roles(&ben).await, stage.directory(&ben).await);
    stage.must_refuse("identity-service", roles, (Code::Unauthenticated, "SESSION_REVOKED"))?;
    stage.must_refuse("directory-service", directory, (Code::Unauthenticated, "SESSION_REVOKED"))?;
    let azure = stage.sign_up_azure(&ben, AZURE_FREE_TRIAL, "").await;
    stage.must_refuse("subscription-service", azure, (Code::Unauthenticated, "SESSION_REVOKED")).map(|_| ())
}

/// What is refused, whoever asks.
pub(super) async fn refusals(stage: &mut Stage<'_>) -> Result<(), WentOtherwise> {
    stage.scene("4. Refused");
    let mia = stage.sign_up("Adatum", "adatum", ("mia", "Mia Costa"), false).await?;
    let offer = stage.sign_up_azure(&mia, AZURE_ENTERPRISE, "").await;
    let ineligible = (Code::FailedPrecondition, "ENTERPRISE_AGREEMENT_NOT_ELIGIBLE");
    stage.must_refuse("An Enterprise Agreement offer", offer, ineligible)?;
    let eva = stage.sign_up("Northwind", "northwind", ("eva", "Eva Lund"), true).await?;
    let directory = stage.attach(&eva, &eva.directory, OFFICE365_E3).await;
    stage.must_refuse("Office 365 for an Enterprise Agreement directory", directory, ineligible)?;
    attach(stage, &mia, OFFICE365_E5).await?;
    let again = stage.attach(&mia, &mia.directory, OFFICE365_E5).await;
    stage.must_refuse(
        "A second trial of the same product",
        again,
        (Code::FailedPrecondition, "TRIAL_ALREADY_USED"),
    )?;
    told("Mia's first free trial of Azure", stage.sign_up_azure(&mia, AZURE_FREE_TRIAL, "").await)?;
    let again = stage.sign_up_azure(&mia, AZURE_FREE_TRIAL, "").await;
    stage.must_refuse(
        "A second free trial of Azure",
        again,
        (Code::FailedPrecondition, "OFFER_ALREADY_USED"),
    )?;
    let unknown = stage.attach(&mia, &mia.directory, "products/enterprisepack/offers/weekly").await;
    stage.must_refuse("An unknown offer", unknown, (Code::NotFound, "OFFER_NOT_FOUND"))?;
    let foreign = stage.attach(&eva, &mia.directory, OFFICE365_E3).await;
    stage
        .must_refuse(
            "Another directory's administrator",
            foreign,
            (Code::PermissionDenied, "PERMISSION_DENIED"),
        )
        .map(|_| ())
}

/// Attaches an Office 365 trial, which the directory must own.
async fn attach(stage: &mut Stage<'_>, actor: &Actor, offer: &str) -> Result<Subscription, WentOtherwise> {
    let step = format!("{} attaches {offer}", actor.display_name());
    let (office365, order) = told(&step, stage.attach(actor, &actor.directory, offer).await)?;
    let landed = lands(stage, actor, &office365).await?;
    let owned = office365.owner == Some(Owner::OwnerDirectory(actor.directory.clone()));
    let receipt = format!("receipt {}, total {}", order.receipt_number, money(order.total.as_ref()));
    stage.must(owned && office365.directory == actor.directory, format!("{step}: {landed}; {receipt}"))?;
    Ok(office365)
}

async fn must_lack_the_role(stage: &mut Stage<'_>, actor: &Actor, what: &str) -> Result<(), WentOtherwise> {
    let step = format!("{}, {what}, attaches Office 365", actor.display_name());
    let result = stage.attach(actor, &actor.directory, OFFICE365_E5).await;
    let refused = stage.must_refuse(&step, result, (Code::PermissionDenied, "PERMISSION_DENIED"))?;
    match refused.roles.as_deref() {
        Some("billing-administrator,global-administrator") => Ok(()),
        other => Err(WentOtherwise::new(step, format!("roles that would do: {other:?}"))),
    }
}

/// Where a subscription has landed and whose it is, in words, from the replies.
async fn lands(stage: &mut Stage<'_>, actor: &Actor, of: &Subscription) -> Result<String, WentOtherwise> {
    let directory = told("reading the directory", stage.directory(actor).await)?;
    let owner = match &of.owner {
        Some(Owner::OwnerUser(user)) if *user == actor.user.name => actor.display_name(),
        Some(Owner::OwnerUser(_)) => "another user",
        Some(Owner::OwnerDirectory(owner)) if *owner == directory.name => "the directory",
        Some(Owner::OwnerDirectory(_)) => "another directory",
        None => "nobody",
    };
    let place = if of.directory == directory.name { directory.primary_domain.as_str() } else { "elsewhere" };
    Ok(format!("{} lands in {place}, owned by {owner}", of.display_name))
}

fn money(amount: Option<&api::Money>) -> String {
    amount.map_or_else(String::new, |money| {
        format!("{}.{:02} {}", money.units, money.nanos / 10_000_000, money.currency_code)
    })
}

/// The day of an instant, in UTC.
fn date(stamp: Option<&prost_types::Timestamp>) -> String {
    stamp.map_or_else(
        || "-".to_owned(),
        |stamp| stamp.to_string().split('T').next().unwrap_or_default().to_owned(),
    )
}
