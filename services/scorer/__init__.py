"""The scorer: requests in; replies at once; predictions, observations and positions as one transaction."""
