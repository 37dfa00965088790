"""Drift of what is asked and answered, window by window."""
