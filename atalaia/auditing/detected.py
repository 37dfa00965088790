"""The sequential detectors of one model, of both monitors, followed as the log goes on."""

from collections.abc import Collection, Mapping

from atalaia.auditing.comparison import Mismatch
from atalaia.auditing.drift_detections import DriftDetections
from atalaia.auditing.error_detections import ErrorDetections
from atalaia.auditing.labels import LabelLog
from atalaia.auditing.observed import Chunk
from atalaia.auditing.published import Published, Stream
from atalaia.auditing.ripeness import Ripe
from atalaia.monitors.configuration import MonitorSettings
from atalaia.monitors.units import Watched
from atalaia.records import Observation
from atalaia.windows.watermark import BoolArray


class Detections:
    """What the detectors of a model must have found.

    Parameters
    ----------
    wanted : by monitor and stream the settings that results name; no others are followed
    labels : of the model's partition
    """

    def __init__(self, wanted: Mapping[tuple[str, Stream], Collection[str]], labels: LabelLog) -> None:
        self._wanted = wanted
        self._followed: dict[tuple[str, Stream, str], bool] = {}
        self.drift, self.errors = DriftDetections(), ErrorDetections(labels)

    def lose(self) -> None:
        """Detectors were fed what has expired, or begin anew with other settings."""
        self.drift.lose()
        self.errors.lose()

    def begin(self, observation: Observation, model: str, replay: str | None) -> None:
        """Before the rows of a message: a replay, another than the one that goes on, may begin with it."""
        if any(
            entry.mark.kind == "begin" and entry.mark.model == model and entry.mark.replay != replay
            for entry in observation.marks
        ):
            self.drift.begin_anew(replay=True)
            self.errors.begin_replay()

    def meet(self, stream: Stream, watched: Watched, settings: MonitorSettings) -> None:
        """A message has rows of a stream."""
        if self._follows("drift", stream, watched, settings):
            self.drift.meet(stream, watched, settings)

    def add(
        self, stream: Stream, chunk: Chunk, waits: BoolArray, watched: Watched, settings: MonitorSettings
    ) -> None:
        """Rows of a stream that was met, of which some wait for labels."""
        self.drift.add(stream, chunk)
        if self._follows("performance", stream, watched, settings):
            self.errors.add(stream, chunk, waits, watched, settings)

    def add_inputs(self, stream: Stream, chunk: Chunk, watched: Watched, settings: MonitorSettings) -> None:
        """Rows of a canary that count among the inputs of the primary beside it."""
        self.meet(stream, watched, settings)
        self.drift.add(stream, chunk)

    def pass_time(self, watermark_ms: int | None, *, ended: bool) -> None:
        """The end of a message, with which a replay may have ended."""
        self.drift.pass_time(watermark_ms)
        self.errors.pass_time(watermark_ms)
        if ended:
            self.drift.begin_anew(replay=False)
            self.errors.end_replay()

    def differences(self, published: Published, ripe: Ripe, positions: tuple[int, int]) -> list[Mismatch]:
        """Where the detections of a result differ from what was found when time had come so far.

        ``positions`` are those [since, before) that its rows lie between.
        """
        if published.place.monitor == "drift":
            return self.drift.differences(published, positions)
        return self.errors.differences(published, ripe) if published.place.monitor == "performance" else []

    def _follows(self, monitor: str, stream: Stream, watched: Watched, settings: MonitorSettings) -> bool:
        """Whether a stream's results are of the settings that are known of it."""
        key = monitor, stream, watched.digest
        if key not in self._followed:
            self._followed[key] = settings.digest in self._wanted.get((monitor, stream), ())
        return self._followed[key]
