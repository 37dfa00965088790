"""The ids seen last."""

from collections import OrderedDict


class Seen:
    """At most ``most`` ids; the one not met for longest goes first.

    >>> seen = Seen(2)
    >>> [seen.add(name) for name in ("a", "b", "a", "c", "b")]
    [True, True, False, True, True]
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def add(self, name: str) -> bool:
        """Remember an id; whether it was news."""
        news = name not in self._ids
        self._ids[name] = None
        self._ids.move_to_end(name)
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return news
