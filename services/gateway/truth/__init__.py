"""Late truth: labels checked, gathered and written."""
