"""``python -m loadtest [--host URL]``: load a gateway, or one of a machine started for it, and judge it.

Exit status 0 where every answer was the right one, 1 where any was not: a 5xx, no answer at all, a valid row
refused, or a row with a field missing that was not.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loadtest.arguments import parser

_MODEL = "bmp"
"""A recipe that needs no download, and no field of which may be missing but the changes."""
_STOP_SECONDS = 40.0
_PORTS = ("KAFKA__PORT", "KAFKA__CONTROLLER_PORT", "REDIS__PORT", "GATEWAY__PORT", "SCORER__METRICS_PORT")
_MONITORS = ("DRIFT", "FAIRNESS", "ALERTS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the profiles in a process of their own, where gevent may have its way."""
    asked = list(sys.argv[1:] if arguments is None else arguments)
    if parser().parse_args(asked).host:
        return _run(asked)
    with _machine() as url:
        return _run([*asked, "--host", url])


def _run(arguments: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "loadtest.run", *arguments], check=False).returncode


@contextmanager
def _machine() -> Iterator[str]:
    """A machine with a model, on free ports and in a folder of its own: the URL of its gateway."""
    free = {f"ATALAIA_{name}": "0" for name in _PORTS}
    free |= {f"ATALAIA_{name}__METRICS_PORT": "0" for name in _MONITORS}
    atalaia = [sys.executable, "-c", "import sys; from atalaia.cli import main; sys.exit(main())"]
    with tempfile.TemporaryDirectory(prefix="atalaia-loadtest-") as folder:
        bundle = Path(folder) / "bundle"
        subprocess.run(
            [*atalaia, "train", _MODEL, "--out", str(bundle)], check=True, stdout=subprocess.DEVNULL
        )
        command = [*atalaia, "up", "--json", "--model", str(bundle), "--state-dir", f"{folder}/state"]
        with subprocess.Popen(
            command, env={**os.environ, **free}, stdout=subprocess.PIPE, text=True
        ) as machine:
            try:
                line = machine.stdout.readline() if machine.stdout else ""
                if not line:
                    raise SystemExit("loadtest: the machine did not start; what it said is above")
                yield json.loads(line)["gateway"]
            finally:
                machine.terminate()
                machine.wait(_STOP_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
