"""What the audit found, for people and programs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from atalaia.alerts import rfc3339
from atalaia.auditing.recount import Checked
from atalaia.conservation import Report
from atalaia.results import Cut

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Windows:
    """How the windows compare: those that agree are counted, the others are there with what is wrong."""

    verified: int = 0
    differing: tuple[Checked, ...] = ()
    unverifiable: tuple[Checked, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing differs; what cannot be verified any more is no difference."""
        return not self.differing

    def answer(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "windows": {
                "verified": self.verified,
                "differing": len(self.differing),
                "unverifiable": len(self.unverifiable),
            },
            "window_differences": [entry for one in self.differing for entry in _differences(one)],
            "unverifiable": [{**named(one), "reason": one.reason} for one in self.unverifiable],
        }


@dataclass(frozen=True, slots=True)
class Audit:
    """Both halves."""

    conservation: Report
    windows: Windows

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return self.conservation.ok and self.windows.ok


def windows_report(checked: Iterable[Checked]) -> Windows:
    """What was found of windows, by monitor, model and time."""
    ordered = sorted(checked, key=lambda one: one.place)
    return Windows(
        verified=sum(one.reason is None and not one.mismatches for one in ordered),
        differing=tuple(one for one in ordered if one.mismatches),
        unverifiable=tuple(one for one in ordered if one.reason is not None),
    )


def named(checked: Checked) -> dict[str, Any]:
    """Which result it is; without revision and cut where there is none."""
    place = checked.place
    answer = {
        "monitor": place.monitor,
        **place.stream._asdict(),
        "window": {"start": rfc3339(place.window.start_ms), "end": rfc3339(place.window.end_ms)},
    }
    if checked.published is not None:
        result = checked.published.result
        answer |= {"revision": result.revision, "cut": _cut(result.cut)}
    return answer


def _cut(cut: Cut) -> dict[str, int | None]:
    return {"generation": cut.generation, "observations": cut.observations, "labels": cut.labels}


def _differences(checked: Checked) -> list[dict[str, Any]]:
    """The first figures that differ of a window."""
    return [{**named(checked), **one._asdict()} for one in checked.mismatches[:_SHOWN]]
