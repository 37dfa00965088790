"""Atalaia: models served on Apache Kafka, and watched from the same stream."""

__version__ = "0.1.0"
