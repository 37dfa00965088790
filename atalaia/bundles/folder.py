"""The folder of a bundle: written whole or not at all, read only when every digest fits."""

import hashlib
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
import tomli_w

from atalaia.bundles.consistency import problems
from atalaia.bundles.manifest import FORMAT, Manifest
from atalaia.bundles.reference import Reference
from atalaia.errors import BundleError

MODEL, MANIFEST, REFERENCE, CARD, SUMS = "model.onnx", "bundle.toml", "reference.npz", "card.md", "SHA256SUMS"
_PARTS = (MODEL, MANIFEST, REFERENCE, CARD)
_SUM_LINE = re.compile(r"([0-9a-f]{64})[ ][ *]([^/\\\0]+)")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read and verified.

    ``digest`` is ``sha256:`` and the SHA-256 of ``SHA256SUMS``, so it stands for every file named there.
    """

    folder: Path
    manifest: Manifest
    reference: Reference
    digest: str
    sums: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path | str) -> Self:
        """Read and verify a folder; files that ``SHA256SUMS`` does not name are left alone.

        Raises
        ------
        BundleError
            naming the file at fault and the reason.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise BundleError(f"{folder} is not a folder, expected a model bundle")
        listing = _content(folder, SUMS)
        sums = _read_sums(folder, listing)
        for name in sums:
            _verified(folder, name, sums)
        manifest = _read_manifest(folder, _verified(folder, MANIFEST, sums))
        try:
            reference = Reference.from_bytes(_verified(folder, REFERENCE, sums), manifest)
        except ValueError as error:
            raise BundleError(f"{folder / REFERENCE}: {error}; make the bundle again") from error
        return cls(folder, manifest, reference, _bundle_digest(listing), sums)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.manifest.version

    def read_model(self) -> bytes:
        """The content of ``model.onnx``, verified once more: the file may have changed since.

        Raises
        ------
        BundleError
            when it is gone or has changed.
        """
        return _verified(self.folder, MODEL, self.sums)

    def read_card(self) -> str:
        """The text of ``card.md``."""
        return _verified(self.folder, CARD, self.sums).decode()


def write_bundle(
    folder: Path | str,
    *,
    manifest: Manifest,
    model: bytes,
    reference: Reference,
    card: str,
    replace: bool = False,
    verify: Callable[[Bundle], None] | None = None,
) -> Bundle:
    """Write a bundle and read it back; a folder that already holds the very same is left as it is.

    ``verify`` looks at the bundle before it takes its place; when it raises, nothing has changed.

    Raises
    ------
    BundleError
        when the manifest contradicts itself, or the folder holds something else (another bundle gives way
        when ``replace`` is set; anything that is no bundle never does).
    """
    folder = Path(folder)
    if wrong := problems(manifest):
        raise BundleError(f"the manifest of {manifest.name} is wrong: {'; '.join(wrong)}")
    contents = {
        MODEL: model,
        MANIFEST: _manifest_text(manifest).encode(),
        REFERENCE: reference.to_bytes(manifest),
        CARD: card.encode(),
    }
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(contents.items())]
    contents[SUMS] = "".join(lines).encode()
    if not _is_free(folder, contents[SUMS], replace=replace):
        return Bundle.read(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as workplace:
        made, old = Path(workplace, "new"), Path(workplace, "old")
        made.mkdir()
        for name, content in contents.items():
            _write_durably(made / name, content)
        if verify is not None:
            verify(Bundle.read(made))
        if folder.exists():
            folder.rename(old)
        made.rename(folder)
    return Bundle.read(folder)


def parse_manifest(text: str, source: str) -> Manifest:
    """A manifest from TOML.

    Raises
    ------
    BundleError
        naming ``source`` and the field at fault.
    """
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BundleError(f"{source}: not TOML: {error}") from error
    found = plain.get("format", FORMAT)
    if found != FORMAT:
        raise BundleError(
            f"{source}: bundle format {found}, this version of atalaia reads {FORMAT}; make the bundle "
            "again or use the version of atalaia that made it"
        )
    try:
        manifest = msgspec.convert(plain, Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{source}: {error}") from error
    if wrong := problems(manifest):
        raise BundleError(f"{source}: {'; '.join(wrong)}")
    return manifest


def _manifest_text(manifest: Manifest) -> str:
    plain: dict[str, Any] = msgspec.to_builtins(manifest)
    plain["format"] = manifest.format
    tables = {name for name, value in plain.items() if isinstance(value, dict | list)}
    ordered = {name: value for name, value in plain.items() if name not in tables}
    return tomli_w.dumps(
        _without_none({**ordered, **{name: plain[name] for name in plain if name in tables}})
    )


def _without_none(value: Any) -> Any:
    """TOML has no null: what is None is left out."""
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value


def _read_manifest(folder: Path, content: bytes) -> Manifest:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{folder / MANIFEST}: not UTF-8: {error}") from error
    return parse_manifest(text, str(folder / MANIFEST))


def _read_sums(folder: Path, listing: bytes) -> dict[str, str]:
    sums: dict[str, str] = {}
    for number, line in enumerate(listing.decode(errors="replace").splitlines(), start=1):
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            raise BundleError(f"{folder / SUMS}: line {number} is not '<sha256>  <file>'")
        sums[match[2]] = match[1]
    missing = [name for name in _PARTS if name not in sums]
    if missing:
        raise BundleError(f"{folder / SUMS}: no digest of {', '.join(missing)}")
    return sums


def _verified(folder: Path, name: str, sums: Mapping[str, str]) -> bytes:
    content = _content(folder, name)
    found = hashlib.sha256(content).hexdigest()
    if found != sums[name]:
        raise BundleError(
            f"{folder / name}: changed since the bundle was made (sha256 {found[:12]}, expected "
            f"{sums[name][:12]}); fetch or make the bundle again"
        )
    return content


def _content(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder / name}: cannot be read ({error.strerror}); the bundle is not whole"
        ) from error


def _bundle_digest(listing: bytes) -> str:
    return f"sha256:{hashlib.sha256(listing).hexdigest()}"


def _is_free(folder: Path, listing: bytes, *, replace: bool) -> bool:
    """Whether to write; False where the same bundle is there already."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return True
    if not (folder / SUMS).is_file():
        raise BundleError(f"{folder} exists and is no model bundle; give a folder that does not exist yet")
    if (folder / SUMS).read_bytes() == listing and _is_whole(folder):
        return False
    if not replace:
        raise BundleError(f"{folder} holds another bundle; give another folder, or say to replace it")
    return True


def _is_whole(folder: Path) -> bool:
    try:
        Bundle.read(folder)
    except BundleError:
        return False
    return True


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
