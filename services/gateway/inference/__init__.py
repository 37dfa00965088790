"""From a request to its answer: read and checked, published, waited for, judged."""
