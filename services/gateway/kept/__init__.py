"""Answers that are kept: asynchronous requests, Idempotency-Keys, and what Redis holds for them."""
