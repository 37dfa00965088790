import pytest
from typer.testing import CliRunner

from atalaia.cli.models import app


@pytest.mark.parametrize("role", ["canary", "shadow", "king"])
def test_other_roles_than_primary_are_refused_as_usage(role: str, tmp_path: object) -> None:
    answer = CliRunner().invoke(app, ["deploy", str(tmp_path), "--role", role], env={"COLUMNS": "200"})
    assert answer.exit_code == 2
    assert f"role '{role}' cannot be deployed by this version; expected primary" in answer.output


def test_a_bundle_that_is_no_folder_is_refused_as_usage() -> None:
    answer = CliRunner().invoke(app, ["deploy", "/nowhere"], env={"COLUMNS": "200"})
    assert answer.exit_code == 2
    assert "does not exist" in answer.output
