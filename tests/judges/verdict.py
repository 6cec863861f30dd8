"""One line per check; the first wrong one ends the run.

Knows nothing of gRPC.
"""

import sys
from typing import Any, NoReturn


class Verdict:
    """The checks of one judge."""

    def __init__(self, judge: str):
        self.judge = judge

    def that(self, true: bool, line: str, got: Any = None) -> None:
        """Passes if `true`; otherwise shows what was got instead and ends."""
        if not true:
            self.wrong(line, got)
        print(f"ok    {self.judge}: {line}", flush=True)

    def equal(self, got: Any, expected: Any, line: str) -> None:
        """Passes if what was got is what was expected."""
        self.that(got == expected, line, f"{got!r} instead of {expected!r}")

    def wrong(self, line: str, got: Any) -> NoReturn:
        """Ends the run."""
        print(f"WRONG {self.judge}: {line}", flush=True)
        sys.exit(f"      got: {got}")
