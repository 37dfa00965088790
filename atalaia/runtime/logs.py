"""What a process writes, kept in files that do not grow without bound."""

import contextlib
import os
import shutil
from pathlib import Path

MAX_BYTES = 50_000_000


class LogFile:
    """A file that processes append to, with one older generation beside it (``.1``).

    The file is cut in place after being copied, because the process that writes holds it open; lines written
    between copy and cut are lost.

    Parameters
    ----------
    path : where it is
    max_bytes : size at which it is turned over
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.older = path.with_name(path.name + ".1")
        self.max_bytes = max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)

    def open(self) -> int:
        """A descriptor to give to a process; the caller closes its own copy."""
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, line: str) -> None:
        """Append a line of the supervisor's own."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def turn_over(self) -> bool:
        """Move the content to the older generation if there is too much; whether that was so."""
        if self.size() <= self.max_bytes:
            return False
        # On a full disk the content is given up rather than the process.
        with contextlib.suppress(OSError):
            shutil.copyfile(self.path, self.older)
        with contextlib.suppress(OSError):
            os.truncate(self.path, 0)
        return True

    def tail(self, lines: int = 15, *, since: int = 0) -> str:
        """The last lines written after byte `since`."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 16_384, since if since <= size else 0))
                text = file.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def size(self) -> int:
        """Bytes in the file now."""
        return self.path.stat().st_size if self.path.exists() else 0
