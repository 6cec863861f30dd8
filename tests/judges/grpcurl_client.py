"""Calls through the grpcurl binary, which learns every message by reflection (v1alpha).

Keeps no connection: each call is a process of its own.
"""

import json
import subprocess
from typing import Any

from answer import Answer

# grpcurl tells codes by number (google.rpc.Code).
CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
).split()


class GrpcurlClient:
    """A client that is another program."""

    def __init__(self, program: str, address: str):
        self.program = program
        self.address = address

    def call(self, method: str, request: dict[str, Any], token: str | None = None) -> Answer:
        """Calls `package.Service/Method`."""
        header = ["-H", f"authorization: Bearer {token}"] if token else []
        arguments = ["-format-error", *header, "-d", "@", self.address, method]
        ended = self._run(arguments, json.dumps(request))
        if ended.returncode == 0:
            return Answer("OK", json.loads(ended.stdout))
        try:
            status = json.loads(ended.stderr)
        except json.JSONDecodeError:
            raise RuntimeError(f"grpcurl {method}: {ended.stderr.strip()}") from None
        return Answer(
            CODES[status["code"]], message=status.get("message", ""), details=tuple(status.get("details", []))
        )

    def text(self, *arguments: str) -> str:
        """What grpcurl prints for a verb such as `list`, or for a call whose answer is wanted as people see it."""
        ended = self._run([self.address, *arguments])
        return ended.stdout + ended.stderr

    def _run(self, arguments: list[str], standard_input: str = "") -> subprocess.CompletedProcess[str]:
        command = [self.program, "-plaintext", "-max-time", "20", *arguments]
        return subprocess.run(
            command, input=standard_input, capture_output=True, text=True, timeout=30, check=False
        )
