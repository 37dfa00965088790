"""What the demo claims, each claim with what was found."""

from typing import NamedTuple


class Check(NamedTuple):
    """One claim."""

    claim: str
    held: bool
    found: str


class Checks(list[Check]):
    """All claims of a run.

    >>> checks = Checks()
    >>> checks.expect("one is one", 1 == 1, "1")
    >>> checks.expect("nothing was lost", False, "3 requests without an answer")
    >>> [check.found for check in checks.failed]
    ['3 requests without an answer']
    """

    def expect(self, claim: str, held: bool, found: str) -> None:
        """Note a claim, whether it held, and what was found."""
        self.append(Check(claim, held, found))

    @property
    def failed(self) -> list[Check]:
        """Those that did not hold."""
        return [check for check in self if not check.held]
