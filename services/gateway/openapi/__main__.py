"""``python -m services.gateway.openapi`` writes the document without models to ``schemas/openapi.json``.

With ``--check`` it says whether the one there is up to date.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from services.gateway.openapi.document import document

_PLACE = Path("schemas/openapi.json")


def main(arguments: Sequence[str]) -> int:
    """Write the document without models, or with ``--check`` compare; the exit code."""
    made = orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if "--check" not in arguments:
        _PLACE.parent.mkdir(exist_ok=True)
        _PLACE.write_bytes(made)
        sys.stdout.write(f"{_PLACE} written\n")
    elif not _PLACE.is_file() or _PLACE.read_bytes() != made:
        sys.stderr.write(
            f"{_PLACE} is not what the code makes: run `python -m services.gateway.openapi` "
            "and commit the result\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
