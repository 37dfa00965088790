"""How well the model did, window by window, and how much of the truth was known."""

from collections.abc import Sequence

from atalaia.replay.outcome import Result
from atalaia.replay.report.charts import Limits, bars, series
from atalaia.replay.report.reading import point, streams, window_words
from atalaia.replay.report.svg import Markup, element, join
from atalaia.replay.report.tables import card, figure, fold, grid, table
from atalaia.replay.report.words import number, share

_FIRST = (
    "accuracy", "balanced_accuracy", "f1_macro", "recall_macro", "precision_macro", "roc_auc", "auc", "mcc",
    "log_loss", "brier", "mae", "rmse", "r2", "bias", "mape",
)  # fmt: skip
_DRAWN = 6


def performance_section(results: Sequence[Result], over: tuple[float, float]) -> Markup:
    """All streams: coverage, then the metrics that say most."""
    if not results:
        return element("p", "No performance results were published; labels need --target.", class_="soft")
    parts: list[str] = []
    for name, of_stream in streams(results):
        parts.append(element("h4", name))
        parts.append(_stream(of_stream, over))
    return join(parts)


def _stream(results: Sequence[Result], over: tuple[float, float]) -> Markup:
    coverage = [point(result, _coverage(result), "coverage") for result in results]
    cards = [
        card(
            "label coverage",
            figure(
                bars(coverage, over, label="Share of answered rows with a label"), "share of answered rows"
            ),
        )
    ]
    cards += [_metric(name, results, over) for name in _drawn(results)]
    why = results[-1].get("why")
    told = [element("p", f"No verdict in the last window: {why}", class_="soft")] if why else []
    last = f"All metrics of the last window, {window_words(results[-1])}"
    return join([grid(cards), *told, fold(last, _metrics(results[-1]))])


def _metric(name: str, results: Sequence[Result], over: tuple[float, float]) -> Markup:
    points = [point(result, result["metrics"].get(name), _words(name)) for result in results]
    reference = results[-1].get("reference", {}).get(name)
    known = [] if reference is None else [reference]
    values = [entry.value for entry in points if entry.value is not None]
    narrow = values and min([*values, *known]) > 0.25
    plot = series(
        points, over, label=f"{_words(name)} over the windows", low=None if narrow else 0.0,
        limits=Limits(base=known),
    )  # fmt: skip
    words = f"held-out reference {number(reference)}" if known else "no reference"
    return card(_words(name), figure(plot, words))


def _metrics(result: Result) -> Markup:
    reference, weighted = result.get("reference", {}), result.get("weighted", {})
    rows = [
        (_words(name), number(value), number(reference.get(name)), number(weighted.get(name)))
        for name, value in sorted(result["metrics"].items())
    ]
    caption = f"{number(result['labelled'])} labelled of {number(result['n'])} answered rows"
    parts: list[str] = [
        table(("metric", "value", "reference", "weighted by coverage"), rows, caption=caption)
    ]
    matrix, classes = result.get("confusion_matrix") or [], [str(name) for name in result.get("classes", [])]
    if matrix and len(matrix) == len(classes):
        counted = [
            (name, *(number(count) for count in row)) for name, row in zip(classes, matrix, strict=True)
        ]
        parts.append(table(("truth", *classes), counted, caption="Rows by truth and by what was answered"))
    return join(parts)


def _drawn(results: Sequence[Result]) -> list[str]:
    known = {name for result in results for name, value in result["metrics"].items() if value is not None}
    ranked = [name for name in _FIRST if name in known]
    return (ranked or sorted(known))[:_DRAWN]


def _coverage(result: Result) -> float | None:
    given = result.get("coverage")
    if given is not None:
        return float(given)
    return result["labelled"] / result["n"] if result["n"] else None


def _words(name: str) -> str:
    return name.replace("_", " ")


def summary(results: Sequence[Result]) -> tuple[str, str] | None:
    """The first metric of the last window with a label, and its value; None where there is none."""
    labelled = [result for result in results if result["labelled"]]
    names = _drawn(labelled)
    if not names:
        return None
    value = labelled[-1]["metrics"].get(names[0])
    return _words(names[0]), share(value) if names[0] == "accuracy" else number(value)
