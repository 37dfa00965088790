"""Settings: environment before file before defaults, and errors that name the variable."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from atalaia.errors import SettingsError
from atalaia.settings import load


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os  # noqa: PLC0415 - read here only

    for name in os.environ:
        if name.startswith("ATALAIA_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_one_machine_on_its_own_interface() -> None:
    settings = load()
    assert settings.kafka.bootstrap_servers is None
    assert settings.gateway.host == settings.scorer.metrics_host == "127.0.0.1"
    assert not settings.gateway.log_inputs
    assert not settings.gateway.log_predictions


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "atalaia.toml").write_text('[gateway]\nport = 1111\ndeadline = "250ms"\n')
    monkeypatch.setenv("ATALAIA_GATEWAY__PORT", "2222")
    settings = load()
    assert (settings.gateway.port, settings.gateway.deadline) == (2222, 0.25)


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300.0), ("250ms", 0.25), ("2.5", 2.5), ("3", 3.0)])
def test_seconds_are_durations_or_numbers(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("ATALAIA_GATEWAY__DEADLINE", text)
    assert load().gateway.deadline == seconds


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ATALAIA_GATEWAY__PORT", "eighty"),
        ("ATALAIA_GATEWAY__PORT", "70000"),
        ("ATALAIA_GATEWAY__DEADLINE", "soon"),
        ("ATALAIA_GATEWAY__DEADLINE", "0s"),
        ("ATALAIA_GATEWAY__DEADLINE", "-1"),
        ("ATALAIA_GATEWAY__DEADLINE", "inf"),
        ("ATALAIA_GATEWAY__MAX_ROWS", "0"),
        ("ATALAIA_KAFKA__REPLICATION_FACTOR", "0"),
        ("ATALAIA_KAFKA__BOOTSTRAP_SERVER", "missing-its-s:1"),
    ],
)
def test_a_wrong_setting_is_named_as_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load()


def test_a_misspelt_part_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "atalaia.toml").write_text("[gatway]\nport = 1\n")
    with pytest.raises(SettingsError, match="GATWAY"):
        load()


def test_librdkafka_properties_are_given_as_a_table_or_as_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "atalaia.toml").write_text('[kafka.client]\n"security.protocol" = "ssl"\n')
    assert load().kafka.client == {"security.protocol": "ssl"}
    monkeypatch.setenv("ATALAIA_KAFKA__CLIENT", '{"security.protocol": "sasl_ssl"}')
    assert load().kafka.client == {"security.protocol": "sasl_ssl"}


def test_what_cannot_be_read_at_all_is_a_settings_error_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ATALAIA_KAFKA__CLIENT", "{not json")
    with pytest.raises(SettingsError, match="settings are wrong"):
        load()
    monkeypatch.delenv("ATALAIA_KAFKA__CLIENT")
    (tmp_path / "atalaia.toml").write_text("[gateway\n")
    with pytest.raises(SettingsError, match="settings are wrong"):
        load()


def test_settings_do_not_change_after_being_read() -> None:
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings.gateway, "port", 1)  # noqa: B010 - mypy knows that it cannot be assigned
