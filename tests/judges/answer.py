"""What a call came to, whichever client made it.

Messages are dictionaries in proto3's JSON form: lowerCamelCase names, 64-bit numbers as text.
"""

from dataclasses import dataclass, field
from typing import Any

ERROR_INFO = "google.rpc.ErrorInfo"
BAD_REQUEST = "google.rpc.BadRequest"


@dataclass(frozen=True)
class Answer:
    """A reply, or a refusal with its details."""

    code: str
    reply: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    # The details in their order, each with its "@type".
    details: tuple[dict[str, Any], ...] = ()

    @property
    def ok(self) -> bool:
        return self.code == "OK"

    def detail(self, name: str) -> dict[str, Any]:
        """The detail of that message type, or nothing."""
        found = [detail for detail in self.details if detail.get("@type", "").rsplit("/", 1)[-1] == name]
        return found[0] if found else {}

    @property
    def reason(self) -> str:
        return self.detail(ERROR_INFO).get("reason", "")

    @property
    def domain(self) -> str:
        return self.detail(ERROR_INFO).get("domain", "")

    @property
    def metadata(self) -> dict[str, str]:
        return self.detail(ERROR_INFO).get("metadata", {})
