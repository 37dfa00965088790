import pytest
from typer.testing import CliRunner

from atalaia.cli.models import app


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--role", "king"], "'king' is not one of 'primary', 'canary', 'shadow'"),
        (["--role", "canary"], "a canary needs its share"),
        (["--role", "shadow", "--weight", "5"], "no other role has one"),
        (["--role", "canary", "--weight", "101"], "less than or equal to 100"),
    ],
)
def test_roles_and_shares_that_make_no_sense_are_usage(
    arguments: list[str], told: str, tmp_path: object
) -> None:
    answer = CliRunner().invoke(app, ["deploy", str(tmp_path), *arguments], env={"COLUMNS": "200"})
    assert answer.exit_code == 2
    assert told in answer.output


def test_a_bundle_that_is_no_folder_is_refused_as_usage() -> None:
    answer = CliRunner().invoke(app, ["deploy", "/nowhere"], env={"COLUMNS": "200"})
    assert answer.exit_code == 2
    assert "does not exist" in answer.output
