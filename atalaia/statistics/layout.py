"""A flat state array as named parts."""

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


class Layout:
    """Where each named part lies in a flat int64 array, so that states merge by one addition.

    >>> layout = Layout(rows=(), table=(2, 2))
    >>> state = layout.join(rows=np.array(3), table=np.array([[1, 0], [0, 2]]))
    >>> state.tolist()
    [3, 1, 0, 0, 2]
    >>> layout.part(state + state, "table").tolist()
    [[2, 0], [0, 4]]
    """

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self.shapes = shapes
        self._slices: dict[str, slice] = {}
        start = 0
        for name, shape in shapes.items():
            stop = start + int(np.prod(shape, dtype=np.int64))
            self._slices[name] = slice(start, stop)
            start = stop
        self.length = start

    def join(self, **parts: npt.ArrayLike) -> IntArray:
        """The state (length,) made of all its parts."""
        if parts.keys() != self.shapes.keys():
            raise ValueError(f"parts {sorted(parts)}, expected {sorted(self.shapes)}")
        state = np.empty(self.length, np.int64)
        for name, part in parts.items():
            state[self._slices[name]] = np.reshape(part, -1)
        return state

    def part(self, state: IntArray, name: str) -> IntArray:
        """One part of a state, in its shape.

        Raises
        ------
        ValueError
            when the state has another length: it was counted by another configuration.
        """
        if state.shape != (self.length,):
            raise ValueError(f"a state of shape {state.shape}, expected {(self.length,)}")
        return state[self._slices[name]].reshape(self.shapes[name])

    def number(self, state: IntArray, name: str) -> int:
        """A part of one number."""
        return int(self.part(state, name).sum())
