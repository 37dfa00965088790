"""Every command of the pages for users does what the page says, on one real machine."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import services.gateway.http.app  # noqa: F401 - its refusals are known once it is imported
from atalaia.errors import Refusal
from tests.broker.docs.pages import DOCS, Block, exported, missing, read_page
from tests.broker.docs.workplace import Workplace

pytestmark = [pytest.mark.broker, pytest.mark.timeout(280)]

FIRST = "bring-your-model.md"
OTHERS = ("producers.md", "consumers.md")
BEGUN = "up"


ROW = {"age": 71, "stay_days": 9, "visits": 3}
MONITORS = ("drift", "fairness", "alerts")


def until_it_runs(blocks: list[Block]) -> int:
    """How many blocks of the first page it takes to have a machine."""
    return next(place for place, block in enumerate(blocks) if block.role == BEGUN) + 1


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """The machine of the first page, with its model."""
    if shutil.which("curl") is None:
        pytest.skip("the commands of the pages need curl; install it to run them")
    blocks = read_page(FIRST)
    place = Workplace(tmp_path_factory.mktemp("documents"))
    try:
        place.play(blocks[: until_it_runs(blocks)])
        yield place
    finally:
        place.close()


def test_bring_your_model(workplace: Workplace) -> None:
    blocks = read_page(FIRST)
    workplace.play(blocks[until_it_runs(blocks) :])
    assert "<svg" in (workplace.folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("page", OTHERS)
def test_a_page_of_commands(page: str, workplace: Workplace) -> None:
    workplace.play(read_page(page))


def test_metrics_of_the_monitors_are_as_the_page_says(workplace: Workplace) -> None:
    page = (DOCS / "operations.md").read_text("utf-8")
    table = page.split("| metric, after `atalaia_`")[1].split("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert len(named) > 15
    asked = httpx.post(f"{workplace.settings['GATEWAY']}/predict", json=ROW, timeout=20)
    assert asked.status_code == 200
    until = time.monotonic() + 30
    while lacking := named - shown_of_monitors(workplace):
        assert time.monotonic() < until, lacking
        time.sleep(0.5)


def shown_of_monitors(workplace: Workplace) -> set[str]:
    """Names of all metrics, without the service's."""
    names: set[str] = set()
    for service in MONITORS:
        text = httpx.get(workplace.metrics[service], timeout=10).text
        names.update(re.findall(rf"^# TYPE atalaia_{service}_(\w+)", text, re.MULTILINE))
    return names


@pytest.mark.parametrize("page", [FIRST, *OTHERS])
def test_no_command_is_left_out(page: str) -> None:
    blocks = read_page(page)
    assert [block.place for block in blocks if block.language == "sh" and block.role is None] == []
    assert any(block.role == "run" for block in blocks)


def test_every_refusal_is_in_the_page_with_its_status() -> None:
    page = (DOCS / "producers.md").read_text("utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if re.match(r"\| \d{3} \|", line)]
    told = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    assert {(kind.status, kind.code) for kind in refusals(Refusal)} == told


def refusals(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    """It and all that are narrower, of the library and the gateway."""
    if kind.__module__.startswith(("atalaia.", "services.gateway.")):
        yield kind
    for narrower in kind.__subclasses__():
        yield from refusals(narrower)


def test_what_is_shown_is_looked_for(tmp_path: Path) -> None:
    assert missing(['{"a":...,"c":3}'], '{"a":1,"b":2,"c":3}') == []
    assert missing(["(a)"], "a") == ["(a)"]
    assert exported(Block("p", 1, "sh", "settings", "export A=1\nexport B=2\n")) == {"A", "B"}
    place = Workplace(tmp_path)
    with pytest.raises(AssertionError, match="docs/p, line 1: exit 3"):
        place.play([Block("p", 1, "sh", "run", "exit 3\n")])
    with pytest.raises(AssertionError, match="docs/p, line 2"):
        place.play([Block("p", 1, "sh", "run", "echo a\n"), Block("p", 2, "text", "shows", "b\n")])
