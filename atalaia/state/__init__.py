"""Fenced state of the monitors, and the join of predictions and labels."""
