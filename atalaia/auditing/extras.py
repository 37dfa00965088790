"""Libraries that only recomputation needs, imported when they are, with a word on what to install."""

from importlib import import_module
from typing import Any

from atalaia.errors import AtalaiaError


class ExtraMissing(AtalaiaError):
    """A library of an extra is not installed; the message says which extra to install."""


def scikit_learn() -> Any:
    """``sklearn.metrics``."""
    return _imported("sklearn.metrics", "train")


def scipy_stats() -> Any:
    """``scipy.stats``."""
    return _imported("scipy.stats", "watch")


def river_drift() -> Any:
    """``river.drift``."""
    return _imported("river.drift", "watch")


def river_binary() -> Any:
    """``river.drift.binary``."""
    return _imported("river.drift.binary", "watch")


def _imported(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ExtraMissing(
            f"the audit recomputes figures with {module}, which is not installed; install the extra: "
            f"pip install 'atalaia[{extra}]', or leave windows out with --no-windows"
        ) from error
