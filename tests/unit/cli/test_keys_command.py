"""``atalaia keys``: a key is shown once, its hash kept, and what is wrong is said with exit code 2 or 1."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from atalaia.access import digest_of, read_keys, write_keys
from atalaia.cli.keys import app
from atalaia.errors import SettingsError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "keys.toml"
    monkeypatch.setenv("ATALAIA_ACCESS__KEYS_FILE", str(place))
    return place


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def added(*arguments: str) -> str:
    result = run("add", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_a_key_is_printed_alone_and_its_hash_kept(file: Path) -> None:
    secret = added("lab", "--scopes", "infer, label", "--rate", "100", "--expires", "90d")
    (key,) = read_keys(file.read_text())
    assert (key.name, key.digest, key.scopes) == ("lab", digest_of(secret.encode()), ("infer", "label"))
    assert key.rate == 100.0
    assert key.expires is not None
    assert (key.expires - key.created).days == 90
    assert secret not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_second_key_of_a_name_takes_over_from_the_first(file: Path) -> None:
    added("lab", "--scopes", "infer")
    first = json.loads(run("list", "--json").stdout)[0]["id"]
    second = json.loads(added("lab", "--scopes", "infer", "--json"))
    assert second["key"].startswith("atl_")
    assert run("revoke", first).exit_code == 0
    assert [key.id for key in read_keys(file.read_text())] == [second["id"]]


def test_all_keys_of_a_name_are_revoked_and_others_stay(file: Path) -> None:
    for name in ("lab", "lab", "ward"):
        added(name, "--scopes", "infer")
    gone = json.loads(run("revoke", "lab", "--json").stdout)
    assert [key["name"] for key in gone] == ["lab", "lab"]
    assert [key.name for key in read_keys(file.read_text())] == ["ward"]


@pytest.mark.usefixtures("file")
def test_the_list_shows_no_hash() -> None:
    secret = added("lab", "--scopes", "admin", "--expires", "1ms")
    shown = run("list").stdout
    assert "lab" in shown
    assert "(expired)" in shown
    assert secret not in shown
    assert digest_of(secret.encode()).hex() not in shown
    assert json.loads(run("list", "--json").stdout)[0]["expired"] is True


def test_the_files_mode_stays_as_it_is(file: Path) -> None:
    file.write_text(write_keys([]))
    file.chmod(0o640)
    added("lab", "--scopes", "infer")
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "lab", "--scopes", "root"), "infer, label, admin"),
        (("add", "lab", "--scopes", ","), "infer, label, admin"),
        (("add", "a b", "--scopes", "infer"), "letters"),
        (("add", "lab", "--scopes", "infer", "--rate", "0"), "rate"),
        (("add", "lab", "--scopes", "infer", "--expires", "soon"), "duration"),
        (("add", "lab", "--scopes", "infer", "--expires", "9999999999d"), "expires"),
    ],
)
def test_wrong_usage_is_named(file: Path, arguments: tuple[str, ...], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.output.replace("│", " ").split())
    assert not file.exists()


def test_no_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATALAIA_ACCESS__KEYS_FILE", raising=False)
    result = run("add", "lab", "--scopes", "infer")
    assert result.exit_code == 2
    assert "ATALAIA_ACCESS__KEYS_FILE" in result.output


@pytest.mark.parametrize("arguments", [("add", "lab", "--scopes", "infer"), ("list",), ("revoke", "lab")])
def test_a_broken_file_is_left_as_it_is(file: Path, arguments: tuple[str, ...]) -> None:
    file.write_text("[[keys")
    result = run(*arguments)
    assert isinstance(result.exception, SettingsError)
    assert file.read_text() == "[[keys"


@pytest.mark.usefixtures("file")
def test_what_is_not_there_is_not_revoked() -> None:
    added("lab", "--scopes", "infer")
    result = run("revoke", "ward")
    assert isinstance(result.exception, SettingsError)
    assert "lab" in str(result.exception)


def test_keys_added_at_once_are_all_there(file: Path) -> None:
    def add(place: int) -> int:
        command = [
            sys.executable,
            "-c",
            "from atalaia.cli import main; main()",
            "keys",
            "add",
            f"k{place}",
            "--scopes",
            "infer",
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(add, range(4))) == {0}
    assert {key.name for key in read_keys(file.read_text())} == {"k0", "k1", "k2", "k3"}
    assert [path.name for path in file.parent.iterdir()] == ["keys.toml"]
