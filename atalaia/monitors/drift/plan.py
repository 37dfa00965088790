"""How one stream is watched: what follows from its bundle, its settings, and a reference from the stream."""

import hashlib
from functools import cached_property
from math import gcd
from typing import NamedTuple

import msgspec
import numpy as np

from atalaia.monitors.configuration import DetectorSettings, MonitorSettings, milliseconds
from atalaia.monitors.drift.reference import StreamReference
from atalaia.monitors.drift.watching import APPLICABILITY, SCORE, reference_rows, watch
from atalaia.monitors.units import Watched
from atalaia.records import Role
from atalaia.statistics.bins import FloatArray
from atalaia.statistics.sequential import LogDistance
from atalaia.windows import LastRows, Window

_FED_EVERY_MS = 60_000
_HOUR_MS = 3_600_000


class StreamKey(NamedTuple):
    """Whose rows: a version of a model, in a role."""

    model: str
    version: str
    role: Role

    @property
    def prefix(self) -> bytes:
        """How the names of its panes begin.

        >>> StreamKey("wine", "2", "primary").prefix
        b'wine/2/primary/'
        """
        return f"{self.model}/{self.version}/{self.role}/".encode()

    @property
    def subject(self) -> str:
        """What its alert speaks of: the inputs and answers of a primary, the answers of any other."""
        return "inputs" if self.role == "primary" else f"answers/{self.role}"

    def subject_of(self, detector: DetectorSettings) -> str:
        """What the alert of a detector speaks of; a version may stand in several roles at once.

        >>> detector = DetectorSettings(detector="adwin", column="score")
        >>> [StreamKey("wine", "2", role).subject_of(detector) for role in ("primary", "canary")]
        ['detector/score/adwin', 'detector/score/adwin/canary']
        """
        name = f"detector/{detector.column}/{detector.detector}"
        return name if self.role == "primary" else f"{name}/{self.role}"


class Plan:
    """How a stream is watched.

    Parameters
    ----------
    key : whose rows
    watched : its bundle
    settings : in force
    reference : made from the stream, in place of the bundle's
    reference_digest : of that

    Raises
    ------
    ValueError
        where the settings make no windows.
    """

    def __init__(
        self,
        key: StreamKey,
        watched: Watched,
        settings: MonitorSettings,
        reference: StreamReference | None = None,
        reference_digest: str = "",
    ) -> None:
        self.key, self.watched, self.settings = key, watched, settings
        drift = self.drift = settings.drift
        self.definition = drift.definition
        self.lateness_ms, self.pane_ms = drift.lateness_ms, drift.pane_ms
        self.by_rows = isinstance(self.definition, LastRows)
        self.size_ms = 0 if self.by_rows else drift.window_ms
        self.columns = watch(watched, key.role, drift, reference)
        self.reference_rows = reference_rows(watched, self.columns, reference)
        self.fed_every_ms = gcd(self.pane_ms, _FED_EVERY_MS)
        self._reference_digest = reference_digest

    @cached_property
    def shape(self) -> str:
        """A digest of whatever gives state its shape; settings that differ in the rest can take it over."""
        drift = self.drift
        shape = (
            self.watched.digest,
            self._reference_digest,
            str(self.definition),
            drift.lateness,
            drift.columns,
            drift.without,
            drift.tests,
            drift.detectors,
        )
        return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:16]

    @cached_property
    def earlier_ms(self) -> tuple[int, ...]:
        """How long before a window those lie that it is held against.

        As far as panes are kept for them; and those that it overlaps could still change.
        """
        told = {milliseconds(duration) for duration in self.drift.earlier}
        kept_ms = self.drift.history * self.pane_ms
        least_ms = max(self.size_ms, 1)
        return tuple(sorted(ms for ms in told if least_ms <= ms <= kept_ms and ms % self.pane_ms == 0))

    @cached_property
    def before_ms(self) -> int:
        """How long before a window its panes are asked for: to be compared with, and to say since when."""
        return max((self.drift.among * self.size_ms, *self.earlier_ms))

    @cached_property
    def unused_ms(self) -> int:
        """Without rows for so long, nothing of a stream can matter any more."""
        return self.before_ms + 2 * self.size_ms + self.lateness_ms + self.pane_ms + _HOUR_MS

    @cached_property
    def detectors(self) -> tuple[DetectorSettings, ...]:
        """Those that can be fed: of the score, and of distances that differ in the reference."""
        return tuple(
            detector
            for detector in self.drift.detectors
            if detector.column == SCORE or (detector.column == APPLICABILITY and self.distance is not None)
        )

    @cached_property
    def distance(self) -> LogDistance | None:
        """How distances are fed to detectors; None where the reference's are all alike."""
        try:
            return LogDistance(np.asarray(self.watched.reference.distances, np.float64))
        except ValueError:
            return None

    def standardised(self, distances: FloatArray) -> FloatArray:
        """Distances (n,) as detectors are fed them, NaN where they cannot be."""
        if self.distance is None:
            return np.full(len(distances), np.nan)
        with np.errstate(invalid="ignore"):
            return self.distance.standardise(distances)

    def judges(self, window: Window) -> bool:
        """Whether a window is one of the disjoint ones."""
        return self.by_rows or window.start_ms % self.size_ms == 0
