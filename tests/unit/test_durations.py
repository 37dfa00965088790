"""Durations as people write them."""

import pytest

from atalaia.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("7d", 604_800),
        ("0s", 0),
        ("1.5h", 5400),
        (" 3s\n", 3),
    ],
)
def test_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "-5s", "+5s", "5 s", "5S", "5min", "1h30m", "1e3s", ".5s", "5.s", "inf", "nans", "5ms5"],
)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a number and a unit: 250ms, 90s, 5m"):
        parse_duration(text)
