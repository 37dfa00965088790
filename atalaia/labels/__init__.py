"""Late truth as it comes in: one label, a list of them, or columns, read as columns and checked by name.

Whoever writes to `labels` may use any of the three forms; whoever reads does so here, so that all agree on
what a message says.
"""

from atalaia.labels.checking import AHEAD_MS, check_labels, label_codes
from atalaia.labels.rows import LabelRows, concatenate, read_labels, write_labels

__all__ = [
    "AHEAD_MS",
    "LabelRows",
    "check_labels",
    "concatenate",
    "label_codes",
    "read_labels",
    "write_labels",
]
