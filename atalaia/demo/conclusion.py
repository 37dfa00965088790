"""The end of the first act: everything is read back and counted."""

from typing import Any

from atalaia.demo import tally
from atalaia.demo.log import read_from
from atalaia.demo.stage import PATIENCE_SECONDS, Stage, spoken
from atalaia.topics import DEAD_LETTERS, PREDICTIONS, REQUESTS


def count_all(stage: Stage) -> None:
    """Read requests, predictions and dead letters back, and hold them against each other by key."""
    with stage.tell.waiting("Reading everything back ..."):
        requests = [
            tally.Logged(message.partition() or 0, message.offset() or 0, message.key())
            for message in read_from(stage.kafka, REQUESTS, stage.starts.requests)
        ]
        keyed = sum(bool(request.key) for request in requests)
        stage.watcher.wait_for_count(keyed, timeout_seconds=PATIENCE_SECONDS)
        predictions = [
            tally.Written(message.key() or b"", message.value() or b"")
            for message in read_from(stage.kafka, PREDICTIONS, stage.starts.predictions)
        ]
        letters = read_from(stage.kafka, DEAD_LETTERS, stage.starts.dead_letters)
    dead = {_position(dict(letter.headers() or [])) for letter in letters}
    result = tally.count(requests, predictions, dead)
    told = [
        tally.Told(answer.post.id, answer.status, answer.body) for answer in stage.answers if spoken(answer)
    ]
    others = tally.differing(told, predictions)
    stage.checks.expect(
        "every request has exactly one committed answer, by key", result.exactly_once, result.describe()
    )
    stage.checks.expect(
        f"the {len(told)} answers over HTTP are those on the topic",
        not others,
        f"{len(others)} differ" + (f" ({others[0]}, ...)" if others else ""),
    )
    lost = len(result.missing) + len(result.forgotten)
    stage.figures["total"] = {
        "rows": result.answered_rows + result.abstained_rows,
        "requests": result.requests,
        "predictions": result.predictions,
        "answered_rows": result.answered_rows,
        "abstained_rows": result.abstained_rows,
        "dead_letters": len(letters),
        "refused_over_http": stage.refused,
        "lost": lost,
        "answered_twice": len(result.repeated),
    }
    stage.tell.say(
        f"[bold]{result.requests:,} requests[/] on the topic: {keyed:,} with a key and "
        f"[bold]{result.predictions:,} predictions[/] for them, read committed; "
        f"{result.requests - keyed} without a key, to be found as dead letters only."
    )
    stage.tell.say(
        f"Without an answer: [bold]{lost}[/]. With two: [bold]{len(result.repeated)}[/]. "
        f"{len(told):,} answers over HTTP compared with the topic: {len(others)} differ."
    )


def _position(headers: dict[str, Any]) -> tuple[int, int]:
    return int(headers["partition"]), int(headers["offset"])
