"""Kafka's jars: fetched once by Maven into the user's cache."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

import platformdirs

from atalaia.errors import RuntimeMissing
from atalaia.runtime.programs import bound

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"

Progress = Callable[[str], None]
"""Takes the name of each artifact as it arrives."""


def find_pom() -> Path:
    """The list of jars: in the installed package, else in the checkout."""
    installed = Path(__file__).with_name("pom.xml")
    return installed if installed.exists() else Path(__file__).parents[2] / "deploy" / "kafka" / "pom.xml"


def jars_folder(pom: Path, *, cache: Path | None = None) -> Path:
    """Where the jars of this very list are kept; another list has another folder."""
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    return (cache or platformdirs.user_cache_path("atalaia")) / "kafka" / digest


def find_jars(*, cache: Path | None = None) -> Path | None:
    """The folder of jars, when they have been fetched."""
    folder = jars_folder(find_pom(), cache=cache)
    return folder if folder.is_dir() else None


def fetch_jars(java: Path, *, cache: Path | None = None, progress: Progress = lambda _name: None) -> Path:
    """The folder of jars, fetched if it is not there; whole or not there at all.

    Raises
    ------
    RuntimeMissing
        without Maven, or when Maven fails, with what it said.
    """
    pom = find_pom()
    folder = jars_folder(pom, cache=cache)
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise RuntimeMissing(
            "Kafka's jars are not in the cache yet and Maven, which fetches them, is not on the path. "
            "Install Maven (a package named maven), or give a running Kafka with "
            "ATALAIA_KAFKA__BOOTSTRAP_SERVERS."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as temporary:
        fetched = Path(temporary) / "jars"
        _run_maven(maven, java, pom, fetched, progress)
        try:
            fetched.rename(folder)
        except OSError:
            # Another process was first, with the same jars.
            if not folder.is_dir():
                raise
    return folder


def _run_maven(maven: str, java: Path, pom: Path, output: Path, progress: Progress) -> None:
    environment = dict(os.environ)
    if shutil.which("java") is None:
        environment.setdefault("JAVA_HOME", str(java.parent.parent))
    command = [maven, "-B", "-f", str(pom), _PLUGIN, f"-DoutputDirectory={output}", "-DincludeScope=runtime"]
    last_lines: deque[str] = deque(maxlen=15)
    with subprocess.Popen(
        bound(command),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or ():
                last_lines.append(line.rstrip())
                name = arrived(line)
                if name is not None:
                    progress(name)
        finally:
            # Also when interrupted: no Maven stays behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0 or not any(output.glob("kafka_*.jar")):
        raise RuntimeMissing(
            "Maven could not fetch Kafka's jars. It needs its repository to be reachable (proxies and "
            "mirrors are set in ~/.m2/settings.xml); or give a running Kafka with "
            "ATALAIA_KAFKA__BOOTSTRAP_SERVERS. It said:\n"
            + "\n".join(line for line in last_lines if "ERROR" in line or "WARN" in line)
        )


def arrived(line: str) -> str | None:
    """The jar a line of Maven's output says was downloaded.

    >>> arrived("[INFO] Downloaded from central: https://host/a/b/kafka-raft-4.1.1.jar (1.2 MB at 3 MB/s)")
    'kafka-raft-4.1.1.jar'
    >>> arrived("[INFO] BUILD SUCCESS")
    """
    words = line.split()
    if words[1:2] != ["Downloaded"]:
        return None
    return next((word.rsplit("/", 1)[-1] for word in words if word.endswith(".jar")), None)
