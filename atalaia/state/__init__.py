"""Fenced state of the monitors in Redis, with a twin in memory."""
