"""Who is let in at every route, by the short way too, and what pages of other origins may."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route
from starlette.types import ASGIApp

from atalaia.access import Credentials, Key, Scope, Unauthorized, digest_of, new_key, write_keys
from atalaia.errors import SettingsError
from atalaia.settings import AccessSettings, GatewaySettings, KafkaSettings, Settings
from services.gateway.access.doorkeeper import Doorkeeper
from services.gateway.access.needs import NEEDS
from services.gateway.access.origins import CrossOrigin
from services.gateway.gateway import Gateway
from services.gateway.http.app import create_app
from services.gateway.http.shortcut import Shortcut
from services.gateway.openapi.document import document
from services.gateway.requestlog import RequestLog

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = "https://ward.example"
GUARDED = sorted(route for route, needs in NEEDS.items() if needs)
FREE = sorted(NEEDS.keys() - set(GUARDED))
SECRETS: dict[Scope, str] = {"infer": new_key(), "label": new_key(), "admin": new_key()}


def write(file: Path, *names_and_secrets: tuple[str, str, Scope]) -> None:
    keys = [Key(name, digest_of(key.encode()), (scope,), CREATED) for name, key, scope in names_and_secrets]
    file.write_text(write_keys(keys))


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.toml"
    write(file, *((scope, secret, scope) for scope, secret in SECRETS.items()))
    return file


def make_app(keys_file: Path | None = None, origins: tuple[str, ...] = ()) -> ASGIApp:
    """All of it but Kafka, which nobody who is refused comes near to."""
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        gateway=GatewaySettings(cors_origins=origins),
        access=AccessSettings(keys_file=keys_file),
    )
    app = create_app(Gateway(settings, RequestLog(None)))
    shortcut = Shortcut(app, app.router.routes)
    return CrossOrigin(shortcut, origins) if origins else shortcut


def ask(app: ASGIApp, method: str, path: str, **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path.replace("{", "").replace("}", ""), headers=named)

    return asyncio.run(run())


def test_every_route_and_every_operation_has_its_place_in_the_list() -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    app = create_app(Gateway(settings, RequestLog(None)))
    there = {
        (method, route.path)
        for route in app.router.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert there == NEEDS.keys()
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            scopes = {
                scope for entry in operation.get("security", []) for used in entry.values() for scope in used
            }
            assert scopes == set(NEEDS[method.upper(), path])
            assert ("401" in operation["responses"]) == bool(scopes)


@pytest.mark.parametrize(("method", "path"), GUARDED, ids=[f"{m} {p}" for m, p in GUARDED])
def test_a_guarded_route_lets_in_its_scopes_alone(keys_file: Path, method: str, path: str) -> None:
    app = make_app(keys_file)
    needs = NEEDS[method, path]
    without = ask(app, method, path)
    assert without.status_code == 401
    assert without.headers["www-authenticate"].startswith("Bearer")
    assert without.headers["content-type"] == "application/problem+json"
    wrong = ask(app, method, path, authorization=f"Bearer {new_key()}")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "unauthorized")
    for scope, secret in SECRETS.items():
        answer = ask(app, method, path, authorization=f"Bearer {secret}")
        if scope in needs:
            assert answer.status_code not in (401, 403)
            assert answer.status_code == ask(app, method, path, x_api_key=secret).status_code
        else:
            assert answer.status_code == 403
            assert f"needs the scope {' or '.join(needs)}" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), FREE, ids=[f"{m} {p}" for m, p in FREE])
def test_open_routes_are_open(keys_file: Path, method: str, path: str) -> None:
    assert ask(make_app(keys_file), method, path).status_code not in (401, 403)


def test_without_keys_everyone_of_this_machine_is_let_in() -> None:
    app = make_app()
    assert all(ask(app, method, path).status_code not in (401, 403) for method, path in GUARDED)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "gateway.example"])  # noqa: S104 - what is refused
def test_beyond_this_machine_there_are_keys_or_no_gateway(host: str, keys_file: Path) -> None:
    with pytest.raises(SettingsError, match=r"ATALAIA_ACCESS__KEYS_FILE.*atalaia keys add"):
        Doorkeeper(GatewaySettings(host=host), AccessSettings())
    assert Doorkeeper(GatewaySettings(host=host), AccessSettings(keys_file=keys_file)).guarded


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_on_this_machine_it_is_open_without(host: str) -> None:
    assert not Doorkeeper(GatewaySettings(host=host), AccessSettings()).guarded


@pytest.mark.parametrize("content", [None, b"[[keys", b"\xff"])
def test_a_file_that_cannot_be_read_starts_no_gateway(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError):
        Doorkeeper(GatewaySettings(), AccessSettings(keys_file=file))


class TestTheFileChanges:
    @pytest.fixture
    def door(self, keys_file: Path) -> Doorkeeper:
        return Doorkeeper(GatewaySettings(), AccessSettings(keys_file=keys_file))

    def test_nothing_is_read_where_nothing_changed(self, door: Doorkeeper) -> None:
        assert door.look() is None

    @pytest.mark.parametrize("replaced", [True, False])
    def test_a_change_is_read_once(self, door: Doorkeeper, keys_file: Path, *, replaced: bool) -> None:
        written = keys_file.with_suffix(".new") if replaced else keys_file
        write(written, ("other", new_key(), "admin"))
        if replaced:
            written.replace(keys_file)
        keys = door.look()
        assert keys is not None
        assert [key.name for key in keys] == ["other"]
        assert door.look() is None

    @pytest.mark.parametrize("harm", ["broken", "gone", "unreadable"])
    def test_what_cannot_be_read_is_told_once_and_changes_nothing(
        self, door: Doorkeeper, keys_file: Path, harm: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = keys_file.read_text()
        if harm == "broken":
            keys_file.write_text("[[keys")
        else:
            keys_file.unlink()
            if harm == "unreadable":
                keys_file.mkdir()
        assert [door.look() for _ in range(3)] == [None] * 3
        assert capsys.readouterr().out.count("keys cannot be read") == 1
        secret = Credentials(authorization=b"Bearer " + SECRETS["infer"].encode())
        assert door.admit(secret, ("infer",)) == "infer"
        if keys_file.is_dir():
            keys_file.rmdir()
        keys_file.write_text(before)
        keys = door.look()
        assert keys is not None
        assert len(keys) == 3

    def test_a_watched_file_is_followed(
        self, door: Doorkeeper, keys_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.gateway.access.doorkeeper._LOOK_SECONDS", 0.0)
        mine = new_key()
        shown = Credentials(api_key=mine.encode())

        async def run() -> None:
            watching = asyncio.create_task(door.watch())
            with pytest.raises(Unauthorized):
                door.admit(shown, ("label",))
            write(keys_file, ("mine", mine, "label"))
            os.utime(keys_file)
            while True:
                await asyncio.sleep(0)
                try:
                    assert door.admit(shown, ("label",)) == "mine"
                except Unauthorized:
                    continue
                break
            with pytest.raises(Unauthorized):
                door.admit(Credentials(api_key=SECRETS["infer"].encode()), ("infer",))
            watching.cancel()

        asyncio.run(run())


class TestPagesOfOtherOrigins:
    def test_none_is_told_anything_unless_named(self) -> None:
        answer = ask(make_app(), "GET", "/healthz", origin=PAGE)
        assert "access-control-allow-origin" not in answer.headers
        preflight = ask(make_app(), "OPTIONS", "/predict", origin=PAGE, access_control_request_method="POST")
        assert preflight.status_code == 405

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/healthz"), ("POST", "/predict"), ("GET", "/nowhere")]
    )
    def test_one_that_is_named_reads_answers_and_refusals(
        self, keys_file: Path, method: str, path: str
    ) -> None:
        answer = ask(make_app(keys_file, (PAGE,)), method, path, origin=PAGE)
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "retry-after" in answer.headers["access-control-expose-headers"]
        assert "origin" in answer.headers["vary"].lower()
        other = ask(make_app(keys_file, (PAGE,)), method, path, origin="https://elsewhere.example")
        assert "access-control-allow-origin" not in other.headers

    def test_it_may_ask_before_it_sends_a_key(self, keys_file: Path) -> None:
        headers = {
            "access_control_request_method": "POST",
            "access_control_request_headers": "authorization,content-type,idempotency-key",
        }
        app = make_app(keys_file, (PAGE,))
        allowed = ask(app, "OPTIONS", "/predict", origin=PAGE, **headers)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == PAGE
        assert "Authorization".lower() in allowed.headers["access-control-allow-headers"].lower()
        refused = ask(app, "OPTIONS", "/predict", origin="https://elsewhere.example", **headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "foreign_origin")
        assert refused.headers["content-type"] == "application/problem+json"
        assert "access-control-allow-origin" not in refused.headers

    @pytest.mark.parametrize(
        ("origin", "let_in"),
        [
            ("https://elsewhere.example", False),
            ("null", False),
            ("http://127.0.0.1.elsewhere.example", False),
            ("http://[", False),
            ("http://127.0.0.1:8080", True),
            ("http://localhost:8080", True),
            (PAGE, True),
        ],
    )
    def test_without_keys_none_of_elsewhere_may_change_anything(self, origin: str, *, let_in: bool) -> None:
        app = make_app(origins=(PAGE,))
        answer = ask(app, "POST", "/v2/repository/models/panel/unload", origin=origin)
        assert (answer.status_code != 403) == let_in


@pytest.mark.parametrize(
    "origin", ["ward.example", "https://ward.example/", "https://ward.example/page", "ftp://a"]
)
def test_what_is_no_origin_is_named(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        GatewaySettings(cors_origins=(origin,))
