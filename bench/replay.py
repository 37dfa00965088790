"""``atalaia replay`` as fast as it can, beside a scorer that finds the same rows in its log.

The command reads a file, sends its rows 100 a request, and counts them from when it sends the first until the
last is accounted for; a scorer and a worker each of drift and fairness run beside it, as they must. The
scorer's rate is that of `bench scorer`: rows it finds, a row a request, from its start to the last commit,
nothing running beside it but Kafka.
"""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atalaia.runtime.machine import Machine
from bench import bundles, rig, scorer

ROWS = 300_000
REPEATS = 3
_TARGET = "class"
_SERVICES = ("drift", "fairness")
_WARM_UP_ROWS = 5_000


def measure(*, repeats: int = REPEATS, rows: int = ROWS) -> dict[str, Any]:
    """All figures; ``ratio`` is the replay's rows a second over the scorer's, median of paired runs."""
    with rig.machine() as machine:
        data = bundles.rows(rows, seed=3)
        folder = machine.state_dir.parent
        whole, few = folder / "rows.csv", folder / "few.csv"
        _write(whole, data.tolist())
        _write(few, data[:_WARM_UP_ROWS].tolist())
        found, replayed, labelled = [], [], []
        for turn in range(repeats):
            rig.tell(f"{rows:,} rows found by a scorer ({turn + 1} of {repeats})")
            rig.fill(machine.settings, data)
            found.append(scorer.score(machine.settings, rows).rows_per_second)
            names = [machine.add_scorer(0), *(machine.add_worker(name, 0) for name in _SERVICES)]
            for name in names:
                machine.supervisor.wait_ready(name, timeout_seconds=60)
            _replay(machine, few)
            rig.tell(f"{rows:,} rows replayed, then with labels ({turn + 1} of {repeats})")
            replayed.append(_replay(machine, whole))
            labelled.append(_replay(machine, whole, "--target", _TARGET))
            for name in names:
                machine.stop(name)
    return summary(found, replayed, labelled)


def summary(found: Sequence[float], replayed: Sequence[float], labelled: Sequence[float]) -> dict[str, Any]:
    """The answer of the bench, of rows a second by turn."""
    return {
        "bench": "replay",
        "ours": statistics.median(replayed),
        "beside": {
            "with_labels_rows_per_second": statistics.median(labelled),
            "scorer_rows_per_second": statistics.median(found),
            "with_labels_of_scorer": rig.median_ratio(labelled, found),
        },
        "ratio": rig.median_ratio(replayed, found),
        "cpu_seconds": None,
        "runs": {"replayed": list(replayed), "with_labels": list(labelled), "scorer": list(found)},
    }


def _write(path: Path, rows: list[list[float]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([f"x{place}" for place in range(bundles.FEATURES)] + [_TARGET])
        table.writerows(
            [*row, bundles.CLASSES[place % len(bundles.CLASSES)]] for place, row in enumerate(rows)
        )


def _replay(machine: Machine, table: Path, *more: str) -> float:
    """Rows a second, as the command says."""
    redis_url = machine.settings.redis.url or ""
    env = rig.environment(machine.settings, ATALAIA_REDIS__URL=redis_url)
    arguments = ["replay", str(table), "--model", bundles.NAME, "--interval", "100ms", *more]
    answer = rig.run_json(["atalaia", *arguments, "--json"], env)
    if answer["answered"] + answer["abstained"] != answer["rows"]:
        raise RuntimeError(f"not every row of {table.name} was answered: {answer['failed']} failed")
    return answer["rows_per_second"]
