"""The monitor of truth."""
