"""The calm steps: rows over HTTP, rows straight to Kafka, requests that are refused, curl lines."""

import shutil
import tempfile
import time
from pathlib import Path

from atalaia.bundles.folder import MODEL as MODEL_FILE
from atalaia.demo.log import read_from
from atalaia.demo.posting import post_all, send_once
from atalaia.demo.refusals import Shown, describe, garbage, judge_garbage, send_wrong, wrong_requests
from atalaia.demo.stage import PATIENCE_SECONDS, Stage, latencies, spoken, strangest
from atalaia.demo.traffic import MODEL, ROWS_A_TENSOR
from atalaia.demo.tries import PAGES, Try, tries
from atalaia.errors import BundleError
from atalaia.stream.deploy import deploy
from atalaia.topics import DEAD_LETTERS

CONNECTIONS = 8
FAR_OUT_ROWS = 40


def post_rows(stage: Stage, rows: int) -> None:
    """Rows over HTTP: plain JSON on one connection; then that and tensors on eight."""
    many = rows // 3 // ROWS_A_TENSOR
    left = rows - many * ROWS_A_TENSOR
    alone = stage.traffic.plain(left // 4)
    together = [
        *stage.traffic.plain(left // 4),
        *stage.traffic.tensors(left - 2 * (left // 4)),
        *stage.traffic.tensors(many, rows_each=ROWS_A_TENSOR),
    ]
    with stage.tell.bar("posting, 1 connection", len(alone)) as advance:
        one = post_all(stage.url, alone, connections=1, on_progress=advance)
    began = time.monotonic()
    with stage.tell.bar(f"posting, {CONNECTIONS} connections", len(together)) as advance:
        several = post_all(stage.url, together, connections=CONNECTIONS, on_progress=advance)
    seconds = time.monotonic() - began
    answers = [*one, *several]
    stage.answers += answers
    answered = sum(map(spoken, answers))
    stage.checks.expect(
        f"all {len(answers)} requests over HTTP are answered", answered == len(answers), strangest(answers)
    )
    alone_ms, together_ms = latencies(one), latencies(several)
    stage.figures["http"] = {
        "rows": rows,
        "requests": len(answers),
        "p50_ms": alone_ms[0],
        "p99_ms": alone_ms[1],
        "p50_ms_8_connections": together_ms[0],
        "p99_ms_8_connections": together_ms[1],
        "requests_per_second_8_connections": round(len(several) / seconds),
    }
    stage.tell.say(
        f"[bold]{rows:,} rows[/] in {len(answers):,} requests: plain JSON, and Open Inference Protocol "
        f"tensors of 1 and of {ROWS_A_TENSOR} rows."
    )
    stage.tell.say(
        f"One connection: median [bold]{alone_ms[0]:.1f} ms[/], 99 % within {alone_ms[1]:.1f} ms. "
        f"{CONNECTIONS} connections: median {together_ms[0]:.1f} ms, 99 % within {together_ms[1]:.1f} ms, "
        f"{len(several) / seconds:,.0f} requests/s."
    )


def write_rows(stage: Stage, rows: int) -> None:
    """Rows straight to Kafka, a few of them in a wrong unit."""
    far = min(FAR_OUT_ROWS, rows // 4)
    far_out = stage.traffic.far_out(far)
    messages = [*stage.traffic.messages(rows - far), *far_out]
    began = time.monotonic()
    with stage.tell.bar("answered", rows) as advance:
        stage.writer.write(messages)
        keys = [key for key, _ in messages]
        stage.watcher.wait_for(keys, timeout_seconds=PATIENCE_SECONDS, on_progress=advance)
    seconds = time.monotonic() - began
    arrived = sum(key in stage.watcher.arrivals for key in keys)
    stage.checks.expect(f"all {rows} rows written to Kafka are answered", arrived == rows, f"{arrived} were")
    abstained = stage.watcher.abstained(key for key, _ in far_out)
    stage.checks.expect(f"the model abstains on {far} rows far out", abstained == far, f"on {abstained}")
    stage.figures["kafka"] = {
        "rows": rows,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds),
    }
    stage.tell.say(
        f"[bold]{rows:,} rows[/], a request each; the last answer was committed after {seconds:.2f} s, "
        f"[bold]{rows / seconds:,.0f} rows/s[/] from the first write to reading it back."
    )
    stage.tell.say(
        f"{far} of them have creatinine in umol/L instead of mg/dL: far from all the model has seen, "
        f"so it abstained on [bold]{abstained}[/]."
    )


def refuse(stage: Stage, bundle: Path) -> None:
    """One request of each kind that is refused."""
    lines, answers = send_wrong(
        stage.url, wrong_requests(stage.machine.settings.gateway, MODEL), stage.checks
    )
    stage.refused += len(answers)
    others = [_tampered(stage, bundle)]
    sent = garbage(stage.run)
    stage.writer.write([(one.key, one.value) for one in sent])
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        letters = read_from(stage.kafka, DEAD_LETTERS, stage.starts.dead_letters)
        if len(letters) >= len(sent) or time.monotonic() > until:
            break
        time.sleep(0.1)
    others += judge_garbage(sent, letters, stage.checks)
    after = send_once(stage.url, tries(MODEL)[1].post)
    stage.checks.expect("rows are answered after all that", after.status == 200, describe(after))
    stage.tell.refusals(lines, others)


def _tampered(stage: Stage, bundle: Path) -> Shown:
    """A bundle whose model was changed after it was made is not deployed."""
    with tempfile.TemporaryDirectory(prefix="atalaia-demo-") as folder:
        copy = Path(folder) / "tampered"
        shutil.copytree(bundle, copy)
        with (copy / MODEL_FILE).open("ab") as file:
            file.write(b"\x00")
        try:
            deploy(copy, settings=stage.machine.settings)
        except BundleError as error:
            detail = str(error).replace(f"{copy}/", "")
        else:
            detail = ""
    stage.checks.expect("a tampered bundle is not deployed", bool(detail), detail or "it was")
    return Shown("a tampered bundle", "not deployed", detail)


def try_by_hand(stage: Stage) -> list[Try]:
    """Send what the curl lines say, once each; the lines."""
    lines = tries(MODEL)
    for line in [*lines, Try("pages for a browser", PAGES)]:
        answer = send_once(stage.url, line.post)
        stage.checks.expect(
            f"curl {line.path} ({line.shows})", answer.status == line.status, describe(answer)
        )
    return lines
