"""Inference as data: protocol requests in, arrays, predictions and protocol responses out. Pure."""
