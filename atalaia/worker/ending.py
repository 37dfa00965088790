"""The end of a process whose state is in doubt."""

import logging
import os
import sys
from typing import NoReturn

import structlog

EXIT_CODE = 70
"""Of a worker that is to be started again: what it held is no longer what is stored, or may not be."""

_log = structlog.get_logger()


def end_process(reason: str) -> NoReturn:
    """End at once, so that nothing is counted after a step that may be lost; the supervisor starts anew."""
    _log.error("worker ends", reason=reason, exc_info=sys.exc_info()[1])
    logging.shutdown()
    sys.stderr.flush()
    os._exit(EXIT_CODE)
