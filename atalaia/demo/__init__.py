"""The main job, shown: rows over HTTP and Kafka, a scorer killed on the way, and a count of every answer."""
