"""The gateway's door: who may come in, by the file of keys as it is now."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

import structlog

from atalaia.access import Credentials, Forbidden, Guard, Key, read_keys
from atalaia.errors import SettingsError
from atalaia.settings import AccessSettings, GatewaySettings
from services.gateway.access.needs import ADMIN, Needs
from services.gateway.access.origins import is_loopback, is_ours

_log = structlog.get_logger()

_LOOK_SECONDS = 1.0
_Stamp = tuple[int, int, int, int]


class Doorkeeper:
    """Lets requests in by their key, or everyone of this machine where there is no file of keys.

    The file is read again within a second of its change. One that cannot be read, or is gone, changes
    nothing but the log: the keys known before go on.

    Raises
    ------
    SettingsError
        where the gateway listens beyond this machine without a file of keys, or the file cannot be read.
    """

    def __init__(self, gateway: GatewaySettings, access: AccessSettings) -> None:
        self._file = access.keys_file
        self._origins = gateway.cors_origins
        self._guard: Guard | None = None
        self._stamp: _Stamp | None = None
        if self._file is None:
            if not is_loopback(gateway.host):
                raise SettingsError(
                    f"the gateway would listen on {gateway.host}, beyond this machine, and let everyone in: "
                    "set ATALAIA_ACCESS__KEYS_FILE to a file that `atalaia keys add NAME --scopes infer` "
                    "makes, or ATALAIA_GATEWAY__HOST to 127.0.0.1"
                )
            return
        try:
            self._stamp, keys = _read(self._file)
        except OSError as error:
            raise SettingsError(
                f"ATALAIA_ACCESS__KEYS_FILE is {self._file}, which cannot be read ({error.strerror}): "
                "make it with `atalaia keys add NAME --scopes infer`"
            ) from error
        self._guard = Guard(keys, wall_seconds=time.time, monotonic_seconds=time.monotonic)
        _tell(keys)

    @property
    def guarded(self) -> bool:
        """Whether there are keys to know."""
        return self._guard is not None

    def admit(self, credentials: Credentials, needs: Needs) -> str:
        """The name of who asks; empty where nobody has one, or none is needed.

        Raises
        ------
        AccessRefusal
        """
        if not needs:
            return ""
        if self._guard is not None:
            return self._guard.admit(credentials, needs)
        if needs == ADMIN and credentials.origin and not is_ours(credentials.origin, self._origins):
            # Without keys whoever is on this machine may act, but no page that its browser happens to show.
            raise Forbidden(
                "a page of another origin may not change anything here: name the origin in "
                "ATALAIA_GATEWAY__CORS_ORIGINS, or give the gateway keys"
            )
        return ""

    async def watch(self) -> None:
        """Read the file again whenever it has changed, until cancelled."""
        while self._guard is not None:
            await asyncio.sleep(_LOOK_SECONDS)
            keys = await asyncio.to_thread(self.look)
            if keys is not None:
                # Here and not in the thread, where a request could bring back a key that is gone.
                self._guard.replace(keys)

    def look(self) -> tuple[Key, ...] | None:
        """The keys where the file has changed and can be read."""
        if self._file is None:
            return None
        stamp = None
        with contextlib.suppress(OSError):
            stamp = _stamp(self._file.stat())
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            self._stamp, keys = _read(self._file)
        except (OSError, SettingsError) as error:
            _log.error("keys cannot be read, those known before go on", reason=str(error))
            return None
        _tell(keys)
        return keys


def _tell(keys: tuple[Key, ...]) -> None:
    _log.info("keys read", keys=len(keys), names=sorted({key.name for key in keys}))


def _read(file: Path) -> tuple[_Stamp, tuple[Key, ...]]:
    """The keys, and the state of the file that they were read from."""
    with file.open("rb") as opened:
        stamp = _stamp(os.fstat(opened.fileno()))
        try:
            return stamp, read_keys(opened.read().decode("utf-8"))
        except UnicodeDecodeError as error:
            raise SettingsError(f"{file} is not UTF-8: {error.reason}") from error


def _stamp(state: os.stat_result) -> _Stamp:
    return state.st_ctime_ns, state.st_mtime_ns, state.st_ino, state.st_size
