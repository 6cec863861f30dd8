"""What a person sees in grpcurl: services, comments, errors.

grpcurl 1.8 asks reflection v1alpha only.
"""

from answer import BAD_REQUEST
from grpcurl_client import GrpcurlClient
from journey import IDENTITY, SUBSCRIPTION, Person
from verdict import Verdict

SERVICES = [
    "tenure.directory.v1.AuditService",
    "tenure.directory.v1.DirectoryService",
    "tenure.directory.v1.DomainService",
    "tenure.directory.v1.LienService",
    "tenure.identity.v1.AuditService",
    "tenure.identity.v1.DirectoryRoleService",
    "tenure.identity.v1.SessionService",
    "tenure.identity.v1.SignUpService",
    "tenure.identity.v1.UserService",
    "tenure.subscription.v1.AuditService",
    "tenure.subscription.v1.CatalogService",
    "tenure.subscription.v1.OrderService",
    "tenure.subscription.v1.SubscriptionService",
]


def judge(client: GrpcurlClient, verdict: Verdict, kim: Person) -> None:
    """Lists, describes, and has errors printed."""
    listed = client.text("list").split()
    missing = [service for service in SERVICES if service not in listed]
    verdict.equal(missing, [], "`list` shows every service")
    described = client.text("describe", f"{SUBSCRIPTION}.SubscriptionService")
    verdict.that("AttachOffice365SubscriptionRequest" in described, "`describe` shows a service", described)

    # Base64 under "@value" is what is shown for a detail whose type is not found.
    refused = client.call(f"{IDENTITY}.UserService/GetMe", {})
    verdict.equal((refused.code, refused.reason), ("UNAUTHENTICATED", "TOKEN_MISSING"), "no token, no answer")
    verdict.that(refused.details and "@value" not in str(refused.details), "an error's details are readable", refused)
    wrong = client.call(f"{IDENTITY}.SignUpService/SignUp", {"password": "weak"})
    verdict.equal(wrong.code, "INVALID_ARGUMENT", "wrong fields are refused")
    bad = wrong.detail(BAD_REQUEST)
    # Both spellings are proto3's; grpcurl takes the one that the descriptor says.
    violations = bad.get("fieldViolations", bad.get("field_violations", []))
    verdict.that(len(violations) >= 4, f"all of them at once, {len(violations)} here, by name", wrong)
    verdict.that("@value" not in str(wrong.details), "and readable", wrong)
    text = client.text(f"{IDENTITY}.UserService/GetMe")
    verdict.that("Code: Unauthenticated" in text and "TOKEN_MISSING" in text, "as a person sees it too", text)
    foreign = {"parent": "directories/00000000-0000-4000-8000-000000000001"}
    refused = client.call(f"{IDENTITY}.UserService/ListUsers", foreign, kim.token)
    verdict.equal((refused.code, refused.reason), ("PERMISSION_DENIED", "PERMISSION_DENIED"), "elsewhere is closed")
