"""Kafka: clients with one set of rules, topic creation, dead letters, and the catalog of deployed models."""
