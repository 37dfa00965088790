"""Pages as programs: their files, the commands to be run, and what these are to show.

The second word after the fence says what a block is: ``sh run``, ``sh up`` (a machine, to be left running),
``sh settings`` (what a reader exports and a test sets), ``text shows`` (lines of the last output, ``...`` for
anything), or the name of a file to write.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[3] / "docs"
_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (\w+)=", re.MULTILINE)
_ROLES = ("run", "up", "settings", "shows")


class Block(NamedTuple):
    """A fenced block; ``line`` is where its text begins, ``role`` None of one to be read only."""

    page: str
    line: int
    language: str
    role: str | None
    text: str

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"docs/{self.page}, line {self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file it is."""
        return None if self.role in (None, *_ROLES) else self.role


def read_page(name: str) -> list[Block]:
    """The blocks of a page, in order."""
    text = (DOCS / name).read_text("utf-8")
    return [
        Block(name, text.count("\n", 0, match.start(3)) + 1, match[1], match[2], match[3])
        for match in _FENCE.finditer(text)
    ]


def exported(block: Block) -> set[str]:
    """Names of the variables that a block sets."""
    return set(_EXPORT.findall(block.text))


def missing(shown: Sequence[str], output: str) -> list[str]:
    """The lines that an output lacks.

    >>> missing(['{"a":...}', "b"], '{"a":1}')
    ['b']
    """
    return [line for line in shown if line and not re.search(_pattern(line), output)]


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("..."))
