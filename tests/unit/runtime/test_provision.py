"""Java, Maven, Redis: found, or said to be missing; with programs of a few lines in their place."""

from pathlib import Path

import pytest

from atalaia.errors import RuntimeMissing
from atalaia.runtime import jars, java, redis


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def old_and_new(folder: Path) -> tuple[Path, Path]:
    old = program(folder / "old" / "bin", "java", """echo 'openjdk version "11.0.2"' >&2""")
    new = program(folder / "new" / "bin", "java", """echo 'openjdk version "21.0.1"' >&2""")
    return old, new


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)


def test_a_java_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = old_and_new(tmp_path)
    monkeypatch.setenv("JAVA_HOME", str(old.parent.parent))
    monkeypatch.setenv("PATH", f"{new.parent}:/bin")
    assert java.find_java() == new


@pytest.mark.usefixtures("no_wheels")
def test_without_java_the_error_says_what_was_found_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = old_and_new(tmp_path)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(old.parent))
    with pytest.raises(
        RuntimeMissing, match=r"is Java 11.*atalaia\[java\].*ATALAIA_KAFKA__BOOTSTRAP_SERVERS"
    ):
        java.find_java()


@pytest.mark.usefixtures("no_wheels")
def test_without_redis_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeMissing, match=r"atalaia\[redis\].*ATALAIA_REDIS__URL"):
        redis.find_programs()


def test_a_redis_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = program(tmp_path, "redis-server", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis.find_programs() == redis.RedisPrograms(server, None)


def test_without_maven_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeMissing, match=r"Maven.*ATALAIA_KAFKA__BOOTSTRAP_SERVERS"):
        jars.fetch_jars(Path("/usr/bin/java"), cache=tmp_path)


FETCH = """
for word in "$@"; do case "$word" in -DoutputDirectory=*) out="${word#*=}"; esac; done
mkdir -p "$out"; echo jar > "$out/kafka_2.13-4.1.1.jar"
echo "[INFO] Downloaded from central: https://host/kafka_2.13-4.1.1.jar (1 MB at 1 MB/s)"
"""


def test_jars_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "mvn", FETCH)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    seen: list[str] = []
    folder = jars.fetch_jars(Path("/usr/bin/java"), cache=tmp_path, progress=seen.append)
    assert [jar.name for jar in folder.iterdir()] == ["kafka_2.13-4.1.1.jar"]
    program(tmp_path / "bin", "mvn", "exit 1")
    assert jars.fetch_jars(Path("/usr/bin/java"), cache=tmp_path, progress=seen.append) == folder
    assert seen == ["kafka_2.13-4.1.1.jar"]


def test_a_fetch_that_fails_leaves_nothing_and_repeats_what_maven_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "mvn", FETCH + "\necho '[ERROR] no route to the repository'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(RuntimeMissing, match="no route to the repository"):
        jars.fetch_jars(Path("/usr/bin/java"), cache=tmp_path)
    assert list((tmp_path / "kafka").iterdir()) == []


def test_another_list_of_jars_has_another_folder(tmp_path: Path) -> None:
    one, other = tmp_path / "one.xml", tmp_path / "other.xml"
    one.write_text("<project/>")
    other.write_text("<project></project>")
    assert jars.jars_folder(one, cache=tmp_path) != jars.jars_folder(other, cache=tmp_path)
    assert jars.find_pom().is_file()
