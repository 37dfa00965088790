"""The last step: everything on the topics is counted again by the audit, which has to find no difference."""

from typing import Any

from atalaia.auditing.reading import audit
from atalaia.auditing.report import Windows
from atalaia.demo.checks import Checks
from atalaia.demo.telling import Teller
from atalaia.settings import KafkaSettings

_NAMED = 3


def audit_all(kafka: KafkaSettings, tell: Teller, checks: Checks) -> dict[str, Any]:
    """Run it and tell; its figures."""
    with tell.waiting("Recomputing every window from the topics ..."):
        found = audit(kafka)
    conservation, windows = found.conservation, found.windows
    differences = [f"{one.kind} {one.detail}" for one in conservation.differences]
    differences += [f"{one.place} {one.mismatches[:1]}" for one in windows.differing]
    total = sum(conservation.found.values()) + len(windows.differing)
    checks.expect("the audit finds no difference", found.ok, f"{total}: {'; '.join(differences[:_NAMED])}")
    checks.expect("the audit could recompute every window", not windows.unverifiable, _first(windows))
    tell.say(
        f"{conservation.positions:,} messages on `requests`, each with one outcome; "
        f"{windows.verified:,} windows recomputed with the reference libraries from the topics alone: "
        f"[bold]{total} differences[/]."
    )
    return {
        "positions": conservation.positions,
        "windows": windows.verified,
        "differing": total,
        "unverifiable": len(windows.unverifiable),
    }


def _first(windows: Windows) -> str:
    return "; ".join(f"{one.place}: {one.reason}" for one in windows.unverifiable[:_NAMED])
