"""Late truth: joined with predictions, and what follows for performance and fairness."""
