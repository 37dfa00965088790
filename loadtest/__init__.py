"""Load as many users make it, and as arrivals at a constant rate make it: with Locust."""
