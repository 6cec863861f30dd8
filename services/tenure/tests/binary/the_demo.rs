//! `tenure demo`, typed as the README has it.

use crate::process::run;

#[test]
fn the_demo_plays_all_journeys_and_ends_well() {
    let output = run(&["demo", "--exit", "--listen", "127.0.0.1:0"]);
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}{errors}");
    for line in [
        "Cy Okafor's organizational role: User",
        "lands in fabrikam.tenure.internal, owned by Cy Okafor",
        "All users of the directory: Ada Lindqvist, Cy Okafor",
        "Confirm your order: 25 × ",
        "for Contoso (contoso.tenure.internal)",
        "roles that would do: billing-administrator,global-administrator",
        "Ben Sato's organizational role: Billing Administrator",
        "subscription-service: refused, Unauthenticated SESSION_REVOKED",
        "ENTERPRISE_AGREEMENT_NOT_ELIGIBLE",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}
