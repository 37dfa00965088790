"""Applicability: whether a row lies where the model was made, or must be refused."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

COLLINEAR = 1e-10
"""Directions whose share of the largest eigenvalue is below this carry no information of their own."""
FARTHEST = float(np.finfo(np.float32).max)
"""Distances end here, so that they stay finite in float32 and in JSON."""

_FOLDS = 5
_AT_ONCE = 6000
_CHUNK_ROWS = 2048
_BLOCKS_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Block:
    """The Gaussian of some of the columns: squared distance |whitening (x - mean)|^2."""

    columns: npt.NDArray[np.intp]
    mean: FloatArray
    whitening: FloatArray

    @property
    def rank(self) -> int:
        return len(self.whitening)


class Applicability:
    """Squared Mahalanobis distance of a row to the reference, and the cutoff beyond which it is refused.

    D^2(x) = (x - mu)' S^+ (x - mu), with S^+ the pseudo-inverse of the covariance (of the correlation, after
    standardising), so constant columns (no scale is known) take no part and collinear ones count once.

    Missing features (NaN): the distance on the observed block, rescaled by `rescale` from the degrees of
    freedom observed to those of the whole. The blocks of the latest 256 missing patterns are kept.

    A row's distance does not depend, to the last bit, on the rows beside it: every step is an elementwise
    operation in a fixed order over the features; no matrix product over rows, whose order of summation
    changes with their number.

    Source: Mahalanobis (1936), On the generalised distance in statistics.

    Parameters
    ----------
    features : names of the d numeric features, in order
    mean, scale : float arrays (d,), in the features' units; a scale of 0 leaves the feature out
    correlation : float array (d, d)
    cutoff : squared distance; rows beyond it are refused

    >>> two = Applicability(
    ...     features="ab", mean=np.zeros(2), scale=np.array([1.0, 2.0]), correlation=np.eye(2), cutoff=9.0
    ... )
    >>> two.squared_distance(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [2.0, 13.0]
    >>> two.contributions(np.array([3.0, 4.0])).tolist()
    [9.0, 4.0]
    """

    def __init__(
        self,
        *,
        features: Sequence[str],
        mean: FloatArray,
        scale: FloatArray,
        correlation: FloatArray,
        cutoff: float,
    ) -> None:
        self.features = tuple(features)
        self.mean = np.asarray(mean, np.float64)
        self.scale = np.asarray(scale, np.float64)
        self.correlation = np.asarray(correlation, np.float64)
        self.cutoff = float(cutoff)
        self._whole = self._block(self.scale > 0)
        self._all_columns = len(self._whole.columns) == len(self.features)
        self._blocks: OrderedDict[bytes, _Block] = OrderedDict()

    @property
    def constant(self) -> tuple[str, ...]:
        """Features left out because the reference holds one value of them."""
        return tuple(name for name, scale in zip(self.features, self.scale, strict=True) if not scale > 0)

    @property
    def degrees_of_freedom(self) -> int:
        """Independent directions among the features, at most their number."""
        return self._whole.rank

    def squared_distance(self, numeric: FloatArray) -> FloatArray:
        """D^2 (n,) of rows (n, d), between 0 and `FARTHEST`."""
        with np.errstate(over="ignore", invalid="ignore"):
            columns = numeric.T if self._all_columns else numeric.T[self._whole.columns]
            distance = _squared_norm(self._whole.whitening, columns - self._whole.mean[:, None])
            unknown = np.isnan(distance)
            if unknown.any():
                where = np.flatnonzero(unknown)
                distance[where] = self._incomplete(numeric[where])
            return np.fmin(distance, FARTHEST)

    def refused(self, distance: FloatArray) -> BoolArray:
        """Which distances lie beyond the cutoff."""
        return distance > self.cutoff

    def contributions(self, row: FloatArray) -> FloatArray:
        """What each feature (d,) adds to the squared distance of one row (d,); they sum to it.

        (x - mu)_j (S^+ (x - mu))_j, which is negative where a feature pulls the row back in. Missing and
        constant features add 0; with missing ones the sum is rescaled as the distance is.
        """
        distance = float(self.squared_distance(row[None, :])[0])
        block = self._observed_block(~np.isnan(row))
        centred = row[block.columns] - block.mean
        farthest = np.abs(centred).max(initial=0.0)
        if distance >= FARTHEST and farthest > 0:
            centred = centred / farthest
        projected = block.whitening @ centred
        shares = centred * (projected @ block.whitening)
        total = shares.sum()
        answer = np.zeros(len(self.features))
        if total > 0:
            answer[block.columns] = shares * (distance / total)
        return answer

    def _incomplete(self, rows: FloatArray) -> FloatArray:
        """D^2 of rows that miss features, a pattern of missing features at a time."""
        distance = np.empty(len(rows))
        observed = ~np.isnan(rows)
        patterns, which = np.unique(np.packbits(observed, axis=1), axis=0, return_inverse=True)
        for pattern in range(len(patterns)):
            members = np.flatnonzero(which.reshape(-1) == pattern)
            block = self._observed_block(observed[members[0]])
            centred = rows[members][:, block.columns].T - block.mean[:, None]
            distance[members] = rescale(_squared_norm(block.whitening, centred), block.rank, self._whole.rank)
        return distance

    def _observed_block(self, observed: BoolArray) -> _Block:
        usable = observed & (self.scale > 0)
        if usable.sum() == len(self._whole.columns):
            return self._whole
        key = np.packbits(usable).tobytes()
        block = self._blocks.get(key)
        if block is None:
            block = self._blocks[key] = self._block(usable)
            if len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(key)
        return block

    def _block(self, usable: BoolArray) -> _Block:
        columns = np.flatnonzero(usable)
        whitening = _whitening(self.correlation[np.ix_(columns, columns)]) / self.scale[columns]
        return _Block(columns, self.mean[columns], whitening)


@dataclass(frozen=True, slots=True)
class Fitted:
    """An `Applicability`, the cross-fitted squared distances (m,) behind its cutoff, and notes for people."""

    applicability: Applicability
    distances: FloatArray
    notes: tuple[str, ...]


def fit(features: Sequence[str], numeric: FloatArray, *, quantile: float = 0.999, seed: int = 0) -> Fitted:
    """Fit on reference rows (m, d).

    The cutoff is the order statistic ceil((m + 1) q) of the squared distances each row has to a fit on the
    four fifths of the rows it is not in: of new rows, a share of 1 - q lies beyond it on average. With
    fewer than 1 / (1 - q) rows there is no such statistic: the largest distance is used, and a note says so.

    Means and scales are those of the values present; correlations are those of the rows where both are.

    Raises
    ------
    ValueError
        with fewer than two rows, or a quantile outside (0, 1).

    >>> rows = np.random.default_rng(0).normal(size=(2000, 3))
    >>> fitted = fit(("a", "b", "c"), rows, quantile=0.99)
    >>> bool(abs(fitted.applicability.cutoff - 11.34) < 1.0)  # chi-squared, 3 dof
    True
    """
    if not 0 < quantile < 1:
        raise ValueError(f"the quantile is {quantile}, expected a number between 0 and 1")
    rows = len(numeric)
    if rows < 2:
        raise ValueError(f"{rows} reference rows, expected at least 2")
    distances = _cross_fitted(features, numeric, seed)
    order = math.ceil((rows + 1) * quantile - 1e-9)
    cutoff = float(np.sort(distances)[min(order, rows) - 1])
    applicability = _estimate(features, numeric, cutoff)
    return Fitted(applicability, distances, _notes(applicability, rows, quantile))


def rescale(squared_distance: FloatArray, observed: int, whole: int) -> FloatArray:
    """Squared distances of ``observed`` degrees of freedom as ones of ``whole``, at an equal quantile.

    Both distributions are taken by their cube root: (x/k)^(1/3) is nearly normal with mean 1 - 2/(9k) and
    variance 2/(9k), so the map is a straight line between cube roots: monotone, and without the tail
    probability that would underflow. Between quantiles .5 and 1 - 1e-9 and up to 30 degrees of freedom the
    answer is within 10 % of the exact one; within 5 % from three degrees observed, 2 % from ten.

    Source: Wilson, Hilferty (1931), The distribution of chi-square.

    >>> rescale(np.array([10.83]), 1, 3).round(1).tolist()  # both are the .999 quantile; exact: 16.3
    [16.2]
    """
    if observed == whole:
        return squared_distance
    if observed == 0:
        return np.zeros_like(squared_distance)
    # math.cbrt, a scalar function, has one answer a value; numpy's depends on where in a vector it stands.
    roots = np.array([math.cbrt(value / observed) for value in squared_distance.tolist()])
    narrow, wide = 2 / (9 * observed), 2 / (9 * whole)
    root = np.maximum(1 - wide + (roots - (1 - narrow)) * math.sqrt(wide / narrow), 0.0)
    return whole * (root * root * root)


def _cross_fitted(features: Sequence[str], numeric: FloatArray, seed: int) -> FloatArray:
    rows = len(numeric)
    folds = np.random.default_rng(seed).permutation(rows) % min(_FOLDS, rows)
    distances = np.empty(rows)
    for fold in range(folds.max() + 1):
        held_out = folds == fold
        distances[held_out] = _estimate(features, numeric[~held_out], 0.0).squared_distance(numeric[held_out])
    return distances


def _estimate(features: Sequence[str], numeric: FloatArray, cutoff: float) -> Applicability:
    known = ~np.isnan(numeric)
    filled = np.where(known, numeric, 0.0)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = filled.sum(axis=0) / counts
    centred = np.where(known, numeric - mean, 0.0)
    scale = np.sqrt((centred * centred).sum(axis=0) / np.maximum(counts - 1, 1))
    low = np.where(known, numeric, np.inf).min(axis=0)
    high = np.where(known, numeric, -np.inf).max(axis=0)
    scale[~(low < high)] = 0.0  # rounding leaves a constant column a scale that is not quite 0
    standard = centred / np.where(scale > 0, scale, 1.0)
    both = known.astype(np.float64).T @ known.astype(np.float64)
    covariance = (standard.T @ standard) / np.maximum(both - 1, 1)
    return Applicability(
        features=features, mean=mean, scale=scale, correlation=_as_correlation(covariance), cutoff=cutoff
    )


def _as_correlation(covariance: FloatArray) -> FloatArray:
    diagonal = np.sqrt(np.diag(covariance))
    correlation: FloatArray = covariance / np.where(diagonal > 0, diagonal, 1.0)
    correlation = correlation / np.where(diagonal > 0, diagonal, 1.0)[:, None]
    return (correlation + correlation.T) / 2


def _notes(applicability: Applicability, rows: int, quantile: float) -> tuple[str, ...]:
    notes = []
    if applicability.constant:
        notes.append(
            f"Applicability does not watch {', '.join(applicability.constant)}: one value in the reference, "
            "so no scale is known."
        )
    collinear = len(applicability.features) - len(applicability.constant) - applicability.degrees_of_freedom
    if collinear:
        notes.append(f"{collinear} of the numeric features follow from the others and count once.")
    if rows < round(1 / (1 - quantile), 6):
        notes.append(
            f"{rows} reference rows, fewer than the {1 / (1 - quantile):.0f} a quantile of {quantile} needs; "
            "cutoff is the largest cross-fitted distance."
        )
    return tuple(notes)


def _whitening(correlation: FloatArray) -> FloatArray:
    """W (rank, k), upper trapezoidal, with W'W the pseudo-inverse."""
    if len(correlation) == 0:
        return np.zeros((0, 0))
    values, vectors = np.linalg.eigh(correlation)
    kept = values > COLLINEAR * values[-1]
    whitening = (vectors[:, kept] / np.sqrt(values[kept])).T
    return np.linalg.qr(whitening).R


def _squared_norm(whitening: FloatArray, centred: FloatArray) -> FloatArray:
    """Sum of squares (n,) of ``whitening @ centred``, in one order of operations whatever n is.

    ``accumulate`` adds strictly from first to last, where ``sum`` and ``@`` choose an order by shape; the
    loop over columns does the same additions, but for the zeros below the diagonal, which change nothing.
    """
    rank, width = whitening.shape
    rows = centred.shape[1]
    if rank == 0:
        return np.where(np.isnan(centred).any(axis=0), np.nan, 0.0)
    if rank * width * rows <= _AT_ONCE:
        projected = np.add.accumulate(whitening[:, :, None] * centred, axis=1)[:, -1]
        return _sum_of_squares(projected)
    answer = np.empty(rows)
    for start in range(0, rows, _CHUNK_ROWS):
        part = np.ascontiguousarray(centred[:, start : start + _CHUNK_ROWS])
        projected = whitening[:, :1] * part[0]
        for column in range(1, width):
            top = min(column + 1, rank)
            projected[:top] += whitening[:top, column, None] * part[column]
        answer[start : start + _CHUNK_ROWS] = _sum_of_squares(projected)
    return answer


def _sum_of_squares(projected: FloatArray) -> FloatArray:
    total: FloatArray = np.add.accumulate(projected * projected, axis=0)[-1]
    return total
