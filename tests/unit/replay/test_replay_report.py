"""The page is whole, well formed, holds any name, and fetches nothing."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Any

import pytest

from atalaia.replay.outcome import Outcome
from atalaia.replay.report import render_report
from atalaia.replay.report.charts import Point, Whisker, forest, series
from atalaia.replay.report.reading import alert_spans
from atalaia.replay.report.svg import Scale, element

from .told import (
    HOUR_MS,
    HOURS,
    MANIFEST,
    NASTY,
    START_MS,
    alert,
    drift,
    fairness,
    outcome,
    performance,
    shapes,
)

VOID = {"meta", "br", "link", "hr"}


class Page(HTMLParser):
    """Tags in balance, and what of the page is text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def page(told: Outcome, **more: Any) -> Page:
    return Page(render_report(told, more.get("drawn", shapes()), MANIFEST))


def without_windows() -> Outcome:
    return outcome(drift=[], performance=[], fairness=[], alerts=[], failures=[])


@pytest.mark.parametrize("told", [outcome(), without_windows()], ids=["whole", "empty"])
def test_the_page_is_well_formed_and_names_each_section(told: Outcome) -> None:
    read = page(told)
    assert read.open == []
    assert [tag for tag, _ in read.tags][:1] == ["html"]
    for title in ("panel 2", "Alerts", "Drift", "Performance", "Fairness"):
        assert title in read.text


def test_every_plot_is_xml_with_places_that_are_numbers() -> None:
    html = render_report(outcome(), shapes(), MANIFEST)
    drawings = re.findall(r"<svg .*?</svg>", html, re.DOTALL)
    assert len(drawings) > 20
    for drawn in drawings:
        for part in ET.fromstring(drawn).iter():  # noqa: S314 - our own
            for name, value in part.attrib.items():
                assert "nan" not in value.lower().split() or name == "aria-label"
                if name in {"x", "y", "x1", "x2", "y1", "y2", "width", "height", "cx", "cy", "r"}:
                    assert float(value) > -50, (name, value)


def test_nothing_is_fetched_and_nothing_runs() -> None:
    html = render_report(outcome(), shapes(), MANIFEST)
    assert not re.search(r"https?://|//cdn|@import|url\(", html)
    read = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & {tag for tag, _ in read.tags}
    assert not [
        name for _, given in read.tags for name in given if name.startswith("on") or name in {"src", "href"}
    ]


def test_names_are_text_whatever_they_hold() -> None:
    html = render_report(outcome(), shapes(), MANIFEST)
    assert NASTY not in html
    assert "<b>&" not in html
    read = Page(html)
    assert read.text.count(NASTY) > 5
    assert "b" not in {tag for tag, given in read.tags if tag == "b" and given}


def test_columns_that_drifted_come_first_with_where_and_since_when() -> None:
    read = page(outcome())
    told = read.text
    assert told.index("sodium") < told.index("5 columns without a hit") < told.index("potassium")
    assert "since 2026-01-31 15:00" in told
    assert "from 140 grew from 20 % to 40 %" in told
    assert "up to 136 shrank from 30 % to 10 %" in told


def test_without_a_hit_all_columns_are_folded() -> None:
    told = page(outcome(drift=[drift(0), drift(1)])).text
    assert "No column has a hit" in told


def test_what_is_provisional_undefined_or_not_whole_is_said() -> None:
    told = page(outcome(monitors={"drift": "caught up", "fairness": "behind"}))
    assert "3 windows are provisional" in told.text
    assert "The fairness monitor was behind" in told.text
    classes = [given.get("class") or "" for _, given in told.tags]
    assert any("dot" in name and "provisional" in name for name in classes)
    assert "bar provisional" in classes
    assert "None" not in told.text
    assert "nan" not in told.text.lower().split()


def test_a_window_in_which_nothing_is_known_breaks_no_section() -> None:
    blank = {"value": None, "low": None, "high": None}
    bare = fairness(0)
    bare["gaps"] = [{**gap, **blank} for gap in bare["gaps"]]
    bare["groups"] = []
    empty = drift(0)
    for column in empty["columns"]:
        column |= {
            "statistic": None,
            "p_value": None,
            "p_adjusted": None,
            "effect": None,
            "why": "not enough data",
        }
    empty["why"] = "not enough rows"
    told = outcome(drift=[empty], performance=[performance(0, undefined=True)], fairness=[bare])
    read = page(told, drawn=[])
    assert "not enough rows" in read.text
    assert read.open == []


def test_refused_rows_are_named_with_their_reason() -> None:
    assert "2 rows were refused" in page(outcome()).text
    assert "invalid_input" in page(outcome()).text
    assert "Refused rows" not in page(outcome(failures=[])).text


def test_a_stream_of_another_role_has_a_place_of_its_own() -> None:
    canary = {**drift(1), "role": "canary", "version": "3"}
    told = page(outcome(drift=[canary, drift(0)])).text
    assert told.index("version 2, primary") < told.index("version 3, canary")


def test_an_alert_lasts_from_its_beginning_to_its_end_or_that_of_the_replay() -> None:
    end_ms = float(START_MS + HOURS * HOUR_MS)
    spans = alert_spans(
        [
            alert("pending", "a", 1),
            alert("firing", "a", 1),
            alert("pending", "b", 2),
            alert("resolved", "a", 1, until=4),
            alert("resolved", "b", 2, until=3),
            alert("pending", "a", 5),
        ],
        end_ms,
    )
    told = [(span.name, span.status, (span.start_ms - START_MS) / HOUR_MS, (span.end_ms - START_MS) / HOUR_MS)
            for span in spans]  # fmt: skip
    assert told == [
        ("drift: a", "firing", 1, 4),
        ("drift: b", "pending", 2, 3),
        ("drift: a", "pending", 5, 6),
    ]


def test_values_without_width_and_intervals_without_ends_can_be_drawn() -> None:
    for drawn in (
        series([Point(0, 0, 1.0)], (0.0, 0.0), label="x"),
        series([], (0.0, 1.0), label="x"),
        series([Point(0, 1, None)], (0.0, 1.0), label="x", low=None),
        forest([Whisker("w", None, None, 0.3, False, "")], label="x", middle=0.0, alarms=[0.1], least=0.1),
    ):
        assert ET.fromstring(drawn).tag == "svg"  # noqa: S314 - our own


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 17.0), (0.0, 1e-9), (1e6, 3e6), (5.0, 5.0)])
def test_ticks_are_within_and_few(low: float, high: float) -> None:
    ticks = Scale(low, high, 0, 1).ticks(4)
    assert 1 <= len(ticks) <= 5
    assert all(low - 1e-12 <= value <= high + 1e-12 for value in ticks)


def test_text_is_escaped_once_and_markup_not_again() -> None:
    inner = element("b", "a < b")
    assert element("p", inner, "&", title='"') == '<p title="&quot;"><b>a &lt; b</b>&amp;</p>'
