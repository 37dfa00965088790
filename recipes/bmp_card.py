"""What the card of `bmp` says of the model: beside the rules of thumb, and by how much of which fluid."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from atalaia.bundles.card import Section, table
from recipes.bmp_figures import FLUIDS
from recipes.bmp_panels import USUAL_FLUIDS, BoolArray, Panels

BANDS = ((0.0, 0.15), (0.15, 0.2), (0.2, 0.3), (0.3, 1.0))
"""Of the share of fluid in the sample."""
BAND_NAMES = ("f < .15", "f .15 to .2", "f .2 to .3", "f > .3")
PUBLISHED = (
    ("UMAP (published)", "", "", ".78", "", "3"),
    ("ensemble, internal (published)", ".858", ".993", "", ".747", ""),
    ("Yang et al. (published)", "", "", ".77 to .79", "", "about 6"),
)
"""As read in the literature on contaminated panels; other hospitals, other definitions of the truth."""

_HEADER = ("", "sensitivity", "specificity", "PPV", "MCC", "flags per 1000")

Flags = Mapping[str, BoolArray]
Scores = npt.NDArray[np.float64]


def beside_the_rules(held_out: Panels, flags: Flags) -> Section:
    """The named baselines and the model, on the same panels."""
    without_prior = np.isnan(held_out.features[:, -1]).mean()
    told = (
        f"On {len(held_out)} held-out panels, {held_out.contaminated.mean():.1%} contaminated, "
        f"{without_prior:.0%} without a panel before. Real-time rule: chloride up by more than 7.7, "
        "potassium down by more than 0.7 and calcium down by more than 1.7 since the panel before. "
        "Retrospective rule: chloride up and then down, calcium down and then up, each beyond the 5 % or "
        "95 % quantile of the training panels; it needs the panel after. Ten flags per 1000 are an alert "
        "rate of 1 %. Published figures are of real wards and of other truths: they stand here for scale."
    )
    figures = table(
        _HEADER, [*(quality(name, held_out, flagged) for name, flagged in flags.items()), *PUBLISHED]
    )
    by_fluid_share = table(
        ["sensitivity", *BAND_NAMES],
        [(name, *by_band(held_out, flagged)) for name, flagged in flags.items()],
    )
    return "Beside the rules of thumb", f"{told}\n\n{figures}\n\nf is the share of fluid:\n\n{by_fluid_share}"


def saline_alone(panels: Panels, flags: Flags) -> Section:
    """The same where the rules are at their best."""
    figures = table(
        [*_HEADER, *BAND_NAMES],
        [(*quality(name, panels, flagged), *by_band(panels, flagged)) for name, flagged in flags.items()],
    )
    return "Saline alone, every panel with one before", f"What the rules were made for.\n\n{figures}"


def thresholds_compared(panels: Panels, scores: Scores, thresholds: tuple[float, ...]) -> Section:
    """What another threshold would give."""
    rows = [quality(f"{threshold:g}", panels, scores >= threshold) for threshold in thresholds]
    return "Thresholds compared", table(("threshold", *_HEADER[1:]), rows)


def sizes_compared(panels: Panels, scores: Mapping[tuple[int, int], Scores], threshold: float) -> Section:
    """Trees and leaves cost time."""
    rows = [
        (*size, *quality("", panels, score >= threshold)[1:], *by_band(panels, score >= threshold))
        for size, score in scores.items()
    ]
    header = ["trees", "leaves", *_HEADER[1:], *BAND_NAMES]
    return "Sizes compared", f"On the same panels; trees and leaves cost time.\n\n{table(header, rows)}"


def other_fluids(flagged: Mapping[str, BoolArray], refused: Mapping[str, BoolArray]) -> Section:
    """Panels contaminated with each fluid: flagged by the model, or refused as out of distribution."""
    rows = [
        (
            name,
            "yes" if name in USUAL_FLUIDS else "no",
            f"{flagged[name].mean():.3f}",
            f"{refused[name].mean():.3f}",
            f"{(flagged[name] | refused[name]).mean():.3f}",
        )
        for name in FLUIDS
    ]
    told = "All panels contaminated with one fluid; a refused panel is answered by nobody, but is not missed."
    text = table(["fluid", "trained on", "flagged", "refused", "either"], rows)
    return "Other fluids", f"{told}\n\n{text}"


def quality(name: str, panels: Panels, flagged: BoolArray) -> tuple[str, ...]:
    """Name, sensitivity, specificity, PPV, MCC and flags per 1000 (the alert rate)."""
    truth = panels.contaminated
    found, false = int((flagged & truth).sum()), int((flagged & ~truth).sum())
    missed, right = int((~flagged & truth).sum()), int((~flagged & ~truth).sum())
    products = [float(found + false), float(found + missed), float(right + false), float(right + missed)]
    scale = float(np.sqrt(np.prod(products)))
    return (
        name,
        _share(found, found + missed),
        _share(right, right + false, places=5),
        _share(found, found + false, places=4),
        f"{(found * right - false * missed) / scale:.3f}" if scale else "",
        f"{1000 * flagged.mean():.1f}",
    )


def by_band(panels: Panels, flagged: BoolArray) -> tuple[str, ...]:
    """Sensitivity in each of `BANDS`."""
    shares = []
    for low, high in BANDS:
        members = panels.contaminated & (panels.fraction >= low) & (panels.fraction < high)
        shares.append(_share(int(flagged[members].sum()), int(members.sum())))
    return tuple(shares)


def _share(hits: int, of: int, places: int = 3) -> str:
    return f"{hits / of:.{places}f}" if of else ""
