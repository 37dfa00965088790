"""The microservices; each runs as ``python -m services.NAME`` and imports no other."""
