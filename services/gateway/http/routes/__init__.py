"""The routes, one module a protocol; each lists its own with `routes`."""
