"""How large what is derived from a request may grow, decided before it is scored.

A request that fits its topic must not make a response or an observation that does not.
"""

from atalaia.bundles.manifest import Manifest
from atalaia.errors import TooLarge
from atalaia.inference.responses import ResponseWriter
from atalaia.topics import MAX_REQUEST_OBSERVATION_BYTES, MAX_RESPONSE_BYTES

BASE64_GROWTH = 4 / 3
_NUMBER_BYTES = 8


class Bounds:
    """The bounds of one model version's requests.

    Parameters
    ----------
    manifest : its columns give the size of a row
    writer : knows the size of its responses
    """

    def __init__(self, manifest: Manifest, writer: ResponseWriter) -> None:
        self._writer = writer
        columns = len(manifest.features) + len(manifest.context) + len(manifest.classes)
        other_columns = 8  # event time, score, applicability, abstained, label, offset, partition, rows
        self.observation_bytes_per_row = round((columns + other_columns) * _NUMBER_BYTES * BASE64_GROWTH)

    def observation_bytes(self, rows: int, request_bytes: int) -> int:
        """Upper bound of what a request adds to an observation; its strings are no longer than itself."""
        return 60 + request_bytes + rows * self.observation_bytes_per_row

    def check(self, rows: int, request_bytes: int) -> None:
        """Refuse a request whose response or observation could be too large for its topic.

        Raises
        ------
        TooLarge
        """
        response = self._writer.derived_bytes(rows) + request_bytes
        observation = self.observation_bytes(rows, request_bytes)
        if response > MAX_RESPONSE_BYTES or observation > MAX_REQUEST_OBSERVATION_BYTES:
            raise TooLarge(
                f"{rows} rows could make a response of {response} bytes and an observation of {observation}; "
                f"at most {MAX_RESPONSE_BYTES} and {MAX_REQUEST_OBSERVATION_BYTES} are carried; "
                "send fewer rows a request"
            )
