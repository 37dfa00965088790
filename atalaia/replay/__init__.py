"""A CSV file replayed as the stream it once was: rows, labels and time, through Kafka like any other."""
