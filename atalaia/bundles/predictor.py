"""A bundle, loaded and ready to answer."""

import numpy as np

from atalaia.bundles.folder import MODEL, Bundle
from atalaia.bundles.onnx_model import OnnxModel
from atalaia.errors import BundleError
from atalaia.inference.rows import Predictions, Rows
from atalaia.statistics.applicability import Applicability

TOLERANCE = 1e-5
"""How far a score may be from the one stored when the bundle was made, on another machine."""
_MANY = 16
"""Times the self-test rows are repeated to make a large batch."""


class Predictor:
    """What a bundle says of rows: the model's answer, and whether the row lies where it may answer.

    The same row gets the same answer, to the last bit, whatever rows are beside it.

    Parameters
    ----------
    bundle : read and verified

    Raises
    ------
    BundleError
        when the model cannot be loaded or does not fit the manifest.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.applicability: Applicability = bundle.reference.applicability
        self._source = str(bundle.folder / MODEL)
        self._model = OnnxModel(bundle.manifest, bundle.read_model(), self._source)

    def predict(self, rows: Rows) -> Predictions:
        """Answers in the order of the rows.

        Raises
        ------
        BundleError
            when the model itself fails.
        """
        answer = self._model.answer(rows)
        distance = self.applicability.squared_distance(rows.numeric)
        return Predictions(
            score=answer.score,
            applicability=distance.astype(np.float32),
            abstained=self.applicability.refused(distance),
            label=answer.label,
            probabilities=answer.probabilities,
            value=answer.value,
        )

    def self_test(self) -> None:
        """Score the stored rows again, together and in other batches.

        Raises
        ------
        BundleError
            when an answer is not the stored one, or depends on the batch.
        """
        stored = self.bundle.reference.self_test
        together = self.predict(stored.rows)
        for name, found, expected in (
            ("score", together.score, stored.scores),
            ("squared distance", together.applicability, stored.distances),
        ):
            if not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
                row = int(np.argmax(np.abs(found - expected)))
                raise BundleError(
                    f"{self._source}: self-test row {row} has {name} {found[row]:.7g}, expected "
                    f"{expected[row]:.7g}; make the bundle again"
                )
        if stored.predicted is not None and together.label is not None:
            differ = np.flatnonzero(stored.predicted != together.label)
            if len(differ):
                raise BundleError(f"{self._source}: self-test row {differ[0]} has another class than stored")
        for size in (1, 2, 3, 7):
            for start in range(0, len(stored.rows), size):
                self._compare(_part(stored.rows, start, start + size), together, start)
        self._compare(_repeated(stored.rows, _MANY), together, 0)

    def _compare(self, rows: Rows, together: Predictions, start: int) -> None:
        """Refuse a model that says something else of these rows than it did of them all together."""
        part = self.predict(rows)
        stop = min(start + len(rows), len(together))
        compared = slice(0, stop - start)
        same = np.array_equal(part.score[compared], together.score[start:stop]) and np.array_equal(
            part.applicability[compared], together.applicability[start:stop]
        )
        if not same:
            raise BundleError(
                f"{self._source}: answers self-test rows {start} to {stop - 1} otherwise among {len(rows)} "
                f"than among {len(together)}; a model whose answers depend on the batch cannot be served"
            )


def _part(rows: Rows, start: int, stop: int) -> Rows:
    strings = {name: column[start:stop] for name, column in rows.strings.items()}
    return Rows(numeric=rows.numeric[start:stop], strings=strings)


def _repeated(rows: Rows, times: int) -> Rows:
    strings = {name: np.tile(column, times) for name, column in rows.strings.items()}
    return Rows(numeric=np.tile(rows.numeric, (times, 1)), strings=strings)
