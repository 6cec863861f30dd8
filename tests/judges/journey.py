"""Journey 2, for any client: the owner of an Azure subscription gets Office 365 for the directory.

Who holds the right role may, who does not may not, and every claim is read from a reply.
"""

import uuid
from typing import Any, Protocol

from answer import Answer
from verdict import Verdict

IDENTITY = "tenure.identity.v1"
SUBSCRIPTION = "tenure.subscription.v1"

AZURE_PAY_AS_YOU_GO = "products/azure/offers/ms-azr-0003p"
OFFICE365_E3 = "products/enterprisepack/offers/monthly"
OFFICE365_E5 = "products/enterprisepremium/offers/monthly"
VISIO = "products/visioclient/offers/monthly"
PASSWORD = "Correct-Horse-7"


class Client(Protocol):
    """How a call is made."""

    def call(self, method: str, request: dict[str, Any], token: str | None = None) -> Answer: ...


class Person:
    """Somebody who has signed in."""

    def __init__(self, user: dict[str, Any], signed_in: dict[str, Any]):
        self.name: str = user["name"]
        self.principal_name: str = user["userPrincipalName"]
        self.directory = self.name.split("/users/")[0]
        self.token: str = signed_in["accessToken"]


class Journey:
    """The journey of one client, in a directory of its own."""

    def __init__(self, client: Client, verdict: Verdict, label: str):
        self.client = client
        self.verdict = verdict
        self.label = label

    def play(self) -> Person:
        """Plays it, and leaves its Global Administrator."""
        kim = self.sign_up()
        self.azure_lands_in_its_creators_directory(kim)
        self.order_is_confirmed_and_attached(kim)
        bo = self.add(kim, "bo", "Bo Hansen", "billing-administrator")
        visio = self.succeed("a Billing Administrator attaches Office 365 too", self.attach(bo, VISIO))
        self.verdict.equal(visio["subscription"]["ownerDirectory"], kim.directory, "the directory owns it, not they")
        cy = self.add(kim, "cy", "Cy Arden", None)
        self.is_refused(cy, "a plain member may not attach")
        lea = self.add(kim, "lea", "Lea Moreau", "license-administrator")
        self.is_refused(lea, "a License Administrator may not attach")
        self.nothing_more_was_written(kim)
        self.active_users_are_listed(kim)
        return kim

    def sign_up(self) -> Person:
        """Signs up Contoso, retries it, and signs in."""
        request = {
            "organizationDisplayName": "Contoso",
            "domainLabel": self.label,
            "adminUser": {"userPrincipalName": "kim", "displayName": "Kim Wallace"},
            "password": PASSWORD,
            "requestId": str(uuid.uuid4()),
        }
        method = f"{IDENTITY}.SignUpService/SignUp"
        reply = self.succeed("Contoso signs up", self.client.call(method, request))
        domain = reply["directory"]["initialDomain"]
        self.verdict.that(domain.startswith(f"{self.label}."), f"its initial domain is {domain}", domain)
        again = self.client.call(method, request)
        self.verdict.that(again.ok and again.reply == reply, "an equal retry gets the same answer", again)
        kim = self.sign_in(reply["user"])
        me = self.succeed("Kim asks who they are", self.client.call(f"{IDENTITY}.UserService/GetMe", {}, kim.token))
        self.verdict.equal(me["organizationalRoles"], ["Global Administrator"], "the first user is Global Administrator")
        self.verdict.equal(me["directory"], reply["directory"]["name"], "of the directory that was signed up")
        return kim

    def azure_lands_in_its_creators_directory(self, kim: Person) -> None:
        """P-1, P-2."""
        request = {"offer": AZURE_PAY_AS_YOU_GO, "acceptTerms": True, "requestId": str(uuid.uuid4())}
        answer = self.client.call(f"{SUBSCRIPTION}.SubscriptionService/SignUpAzureSubscription", request, kim.token)
        azure = self.succeed("Kim signs up for Azure", answer)["subscription"]
        self.verdict.equal(azure["directory"], kim.directory, "it lands in Kim's directory")
        self.verdict.equal(azure.get("ownerUser"), kim.name, "Kim owns it")

    def order_is_confirmed_and_attached(self, kim: Person) -> None:
        """The preview names the directory that the order then lands in."""
        request = {"parent": kim.directory, "offer": OFFICE365_E3, "seatCount": 25, "trial": True}
        answer = self.client.call(f"{SUBSCRIPTION}.OrderService/PreviewOffice365Order", request, kim.token)
        preview = self.succeed("Kim previews Office 365", answer)["orderPreview"]
        self.verdict.equal(preview["directory"], kim.directory, "the preview names the directory")
        self.verdict.equal(preview["directoryDisplayName"], "Contoso", "in words")
        self.verdict.equal(preview["lines"][0]["quantity"], "25", "25 seats")
        self.verdict.equal(amount(preview["total"]), (0, 0), "for nothing, in the trial")
        self.verdict.that("trialEndTime" in preview, "which ends at a time that is told", preview)
        self.verdict.equal(preview.get("blockers", []), [], "and nothing stands against it")
        reply = self.succeed("Kim attaches Office 365", self.attach(kim, OFFICE365_E3))
        office365, order = reply["subscription"], reply["order"]
        self.verdict.equal(office365["directory"], kim.directory, "it lands in the directory")
        self.verdict.equal(office365.get("ownerDirectory"), kim.directory, "which owns it")
        self.verdict.equal(office365["state"], "STATE_ACTIVE", "and it is active")
        self.verdict.equal(office365["seats"]["purchased"], 25, "with 25 seats")
        self.verdict.equal(order["subscription"], office365["name"], "there is a receipt for it")
        again = self.attach(kim, OFFICE365_E3)
        self.verdict.that(not again.ok, "a second one of the same product is refused", again)

    def is_refused(self, person: Person, line: str) -> None:
        """P-3: the refusal names the roles that would do."""
        refused = self.attach(person, OFFICE365_E5)
        self.verdict.equal(refused.code, "PERMISSION_DENIED", line)
        self.verdict.equal((refused.reason, refused.domain), ("PERMISSION_DENIED", "subscription.tenure"), "for programs")
        first = refused.details[0]["@type"].rsplit("/", 1)[-1]
        self.verdict.equal(first, "google.rpc.ErrorInfo", "in the first detail")
        roles = sorted(refused.metadata.get("roles", "").split(","))
        self.verdict.equal(roles, ["billing-administrator", "global-administrator"], "with the roles that would do")

    def nothing_more_was_written(self, kim: Person) -> None:
        """What was refused has left nothing."""
        request = {"parent": kim.directory}
        answer = self.client.call(f"{SUBSCRIPTION}.SubscriptionService/ListSubscriptions", request, kim.token)
        listed = self.succeed("Kim lists the subscriptions", answer)["subscriptions"]
        offers = sorted(subscription["offer"] for subscription in listed)
        self.verdict.equal(offers, sorted([AZURE_PAY_AS_YOU_GO, OFFICE365_E3, VISIO]), "the refused ones are not there")

    def active_users_are_listed(self, kim: Person) -> None:
        """The document's "Active users"."""
        request = {"parent": kim.directory, "filter": "state = STATE_ACTIVE"}
        answer = self.client.call(f"{IDENTITY}.UserService/ListUsers", request, kim.token)
        users = self.succeed("Kim lists the active users", answer)["users"]
        names = [user["displayName"] for user in users]
        self.verdict.equal(names, ["Kim Wallace", "Bo Hansen", "Cy Arden", "Lea Moreau"], "all four are there")

    def add(self, kim: Person, local: str, display_name: str, role: str | None) -> Person:
        """Makes a user, gives the role if there is one, and signs in."""
        domain = kim.principal_name.split("@")[1]
        user = {
            "userPrincipalName": f"{local}@{domain}",
            "displayName": display_name,
            "passwordProfile": {"password": PASSWORD},
        }
        request = {"parent": kim.directory, "user": user, "requestId": str(uuid.uuid4())}
        answer = self.client.call(f"{IDENTITY}.UserService/CreateUser", request, kim.token)
        created = self.succeed(f"Kim adds {display_name}", answer)["user"]
        if role:
            assignment = {"role": f"directoryRoles/{role}", "principal": created["name"]}
            request = {"parent": kim.directory, "roleAssignment": assignment, "requestId": str(uuid.uuid4())}
            answer = self.client.call(f"{IDENTITY}.DirectoryRoleService/CreateRoleAssignment", request, kim.token)
            self.succeed(f"and makes them {role}", answer)
        return self.sign_in(created)

    def sign_in(self, user: dict[str, Any]) -> Person:
        """Opens a session."""
        request = {"userPrincipalName": user["userPrincipalName"], "password": PASSWORD}
        answer = self.client.call(f"{IDENTITY}.SessionService/SignIn", request)
        return Person(user, self.succeed(f"{user['displayName']} signs in", answer))

    def attach(self, person: Person, offer: str) -> Answer:
        """Orders a trial of 25 seats."""
        request = {
            "parent": person.directory,
            "offer": offer,
            "seatCount": 25,
            "trial": True,
            "acceptTerms": True,
            "requestId": str(uuid.uuid4()),
        }
        return self.client.call(
            f"{SUBSCRIPTION}.SubscriptionService/AttachOffice365Subscription", request, person.token
        )

    def succeed(self, line: str, answer: Answer) -> dict[str, Any]:
        """The reply of a call that has to succeed."""
        self.verdict.that(answer.ok, line, answer)
        return answer.reply


def amount(money: dict[str, Any]) -> tuple[int, int]:
    """Units and billionths; JSON leaves zeros out."""
    return int(money.get("units", 0)), money.get("nanos", 0)
