"""HTTP in and out: requests are checked, published to Kafka, and answered from the replies."""
