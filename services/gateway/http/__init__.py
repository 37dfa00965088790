"""The gateway over HTTP: the application, its routes, and the server under it."""
