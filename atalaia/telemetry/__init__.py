"""What a service says of itself: logs as JSON lines, metrics, and the endpoint that shows them."""
