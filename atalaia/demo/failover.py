"""A scorer is killed while rows flow over HTTP and Kafka; another takes over, nothing is lost."""

import threading
import time

from atalaia.demo.posting import Answer, post_all
from atalaia.demo.stage import PATIENCE_SECONDS, Stage, spoken, strangest

VICTIM = "scorer-0"
CONNECTIONS = 4
FLOW_SECONDS = 3.0
"""Rows are written this long, half of them before the kill."""


def kill_a_scorer(stage: Stage, rows: int) -> None:
    """Write and post ``rows``, SIGKILL a scorer half-way, and wait for every answer."""
    posts = stage.traffic.plain(max(rows // 20, 2 * CONNECTIONS))
    messages = stage.traffic.messages(rows - len(posts))
    half = len(messages) // 2
    answers: list[Answer] = []
    pause_seconds = FLOW_SECONDS / 2 * CONNECTIONS / len(posts)

    def post() -> None:
        answers.extend(post_all(stage.url, posts, connections=CONNECTIONS, pause_seconds=pause_seconds))

    posting = threading.Thread(target=post, name="posting", daemon=True)
    keys = [key for key, _ in messages]
    with stage.tell.bar("answered", len(keys)) as advance:
        posting.start()
        stage.writer.write(messages[:half], seconds=FLOW_SECONDS / 2)
        killed_at = time.time()
        restarts = stage.machine.restarts(VICTIM)
        pid = stage.machine.kill(VICTIM)
        dead_at = time.time()
        stage.writer.write(messages[half:], seconds=FLOW_SECONDS / 2)
        stage.watcher.wait_for(keys, timeout_seconds=PATIENCE_SECONDS, on_progress=advance)
        posting.join(PATIENCE_SECONDS)
    stage.machine.supervisor.wait_ready(VICTIM)
    stage.answers += answers
    _judge(stage, keys, posts=len(posts), answers=answers, killed_at=killed_at, dead_at=dead_at)
    replaced = stage.machine.restarts(VICTIM) > restarts and stage.machine.pid(VICTIM) != pid
    stage.checks.expect(f"{VICTIM} was started again", replaced, "it was not")


def _judge(
    stage: Stage, keys: list[str], *, posts: int, answers: list[Answer], killed_at: float, dead_at: float
) -> None:
    arrivals = stage.watcher.arrivals
    answered = sum(key in arrivals for key in keys)
    stage.checks.expect(
        f"all {len(keys)} rows written around the kill are answered",
        answered == len(keys),
        f"{answered} were",
    )
    held = sum(map(spoken, answers))
    stage.checks.expect(
        f"all {posts} callers waiting around the kill are answered", held == posts, strangest(answers)
    )
    open_rows = sum(
        stage.writer.acknowledged_at.get(key, killed_at) < killed_at
        and (key not in arrivals or arrivals[key].seen_at > killed_at)
        for key in keys
    )
    firsts = sorted(stage.watcher.first_made_after(dead_at).values())
    resumed = [round(first - killed_at, 2) for first in firsts] or [float("nan")]
    longest = max((answer.seconds for answer in answers), default=float("nan"))
    stage.figures["failover"] = {
        "rows": len(keys) + posts,
        "open_at_the_kill": open_rows,
        "first_prediction_seconds": resumed[0],
        "all_partitions_seconds": resumed[-1],
        "longest_wait_seconds": round(longest, 2),
    }
    stage.tell.say(
        f"{len(keys) + posts:,} rows flow, {posts} of them over HTTP; half-way [bold]{VICTIM} gets "
        f"SIGKILL[/], with {open_rows} rows accepted and not yet committed."
    )
    stage.tell.say(
        f"First new prediction after [bold]{resumed[0]:.2f} s[/], by the other scorer; the killed one's "
        f"partitions go on after [bold]{resumed[-1]:.1f} s[/] (a consumer counts as dead after 6 s)."
    )
    stage.tell.say(
        f"No caller was turned away: {held} of {posts} answered, the longest wait {longest:.1f} s."
    )
