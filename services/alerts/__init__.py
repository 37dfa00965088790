"""Alerts handed on to people, and those of latency and silence."""
