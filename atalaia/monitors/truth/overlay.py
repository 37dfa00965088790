"""What was set of a model's monitors since its bundle was made, and what follows for each version."""

from collections.abc import Mapping
from typing import Any

import msgspec

from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Reference
from atalaia.errors import SettingsError
from atalaia.monitors.checks import check_settings
from atalaia.monitors.configuration import MonitorSettings, monitor_settings
from atalaia.monitors.overlays import merge
from atalaia.monitors.truth.told import Watch
from atalaia.monitors.units import Models
from atalaia.records import MonitorChange, Role


class Overlay(msgspec.Struct, frozen=True):
    """Tables over those of the bundles, and the change that brought another reference."""

    tables: dict[str, Any] = {}
    rebased: MonitorChange | None = None

    def over(self, change: MonitorChange) -> "Overlay":
        """After one more change, which says all that is set; of one that makes no sense nothing is taken."""
        try:
            tables = merge({}, change.monitors)
        except SettingsError:
            return self
        return Overlay(tables, change if change.reference is not None else None)

    def watch(self, models: Models, *, model: str, version: str, role: Role, digest: str) -> Watch | None:
        """A version as it is watched from now on; None where its bundle is missing."""
        watched = models.watched(model, version, digest)
        if watched is None:
            return None
        manifest, reference, baseline = watched.manifest, watched.reference, ""
        if self.rebased is not None and self.rebased.reference is not None:
            rebased = _read(models.reference(self.rebased), manifest)
            if rebased is not None:
                reference, baseline = rebased, self.rebased.reference.digest
        settings = settings_of(manifest, self.tables)
        return Watch(model, version, role, digest, manifest, reference, settings, baseline)


def settings_of(manifest: Manifest, tables: Mapping[str, Any]) -> MonitorSettings:
    """The settings in force: what does not fit is left out, first what was set, then the bundle's own."""
    for layers in ([manifest.monitors, tables], [manifest.monitors]):
        try:
            settings = monitor_settings(layers[0], layers[1:])
            check_settings(settings, manifest)
        except SettingsError:
            continue
        return settings
    return MonitorSettings()


def _read(content: bytes | None, manifest: Manifest) -> Reference | None:
    try:
        return None if content is None else Reference.from_bytes(content, manifest)
    except ValueError:
        return None
