"""Drift of inputs and answers: what is watched, counted, judged and told of each version. Pure."""
