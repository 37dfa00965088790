"""A reference made from the stream, in place of a bundle's own: a file of distributions by column."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from atalaia.bundles.reference import Distribution
from atalaia.statistics.bins import IntArray

FORMAT = 1


@dataclass(frozen=True, slots=True)
class StreamReference:
    """Distributions by column, as `DriftMonitor` names columns.

    Those of answers hold for the version they were made of; those of inputs and context for every version.
    """

    version: str
    columns: Mapping[str, Distribution]

    @property
    def rows(self) -> int:
        """How many rows the smallest column was made from."""
        return min((_rows(column) for column in self.columns.values()), default=0)

    def to_bytes(self) -> bytes:
        """As the content of a file; the same reference gives the same bytes.

        >>> column = Distribution(np.array([1.0, 2.0], np.float32), np.array([3, 4]), missing=1)
        >>> again = StreamReference.from_bytes(StreamReference("2", {"sodium": column}).to_bytes())
        >>> again.version, again.rows, again.columns["sodium"].values.tolist()
        ('2', 8, [1.0, 2.0])
        """
        names = sorted(self.columns)
        head = {"format": FORMAT, "version": self.version, "columns": names}
        arrays = {"head": np.array(json.dumps(head))}
        for place, name in enumerate(names):
            column = self.columns[name]
            arrays[f"{place}.values"] = column.values
            arrays[f"{place}.counts"] = column.counts
            arrays[f"{place}.missing"] = np.array(column.missing)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """From the content of a file.

        Raises
        ------
        ValueError
            for anything that is no such file, or needs a pickle.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            head = json.loads(str(arrays["head"]))
            _check_format(head["format"])
            columns = {
                str(name): _distribution(
                    arrays[f"{place}.values"], arrays[f"{place}.counts"], int(arrays[f"{place}.missing"])
                )
                for place, name in enumerate(head["columns"])
            }
            return cls(str(head["version"]), columns)
        except Exception as error:
            raise ValueError(f"not a reference made from a stream ({error!r}); make it again") from error


def _check_format(found: int) -> None:
    if found != FORMAT:
        raise ValueError(f"format {found}, expected {FORMAT}")


def _distribution(
    values: np.ndarray[tuple[int], np.dtype[np.generic]], counts: IntArray, missing: int
) -> Distribution:
    if len(values) != len(counts) or values.dtype.kind not in "fiubU":
        raise ValueError(f"{len(values)} values of {values.dtype}, {len(counts)} counts")
    return Distribution(values, counts.astype(np.int64), missing)


def _rows(column: Distribution) -> int:
    return int(column.counts.sum()) + column.missing
