"""What travels on the topics, described for others: JSON Schemas, AsyncAPI and examples, all generated."""
