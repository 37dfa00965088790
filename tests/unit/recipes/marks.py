"""Tests that need the data folder, and where it is."""

import os
from pathlib import Path

import pytest

DATA_DIR = Path(os.environ.get("ATALAIA_DATA_DIR", ""))
needs_data = pytest.mark.skipif(
    not os.environ.get("ATALAIA_DATA_DIR"), reason="set ATALAIA_DATA_DIR to the folder of the data"
)
