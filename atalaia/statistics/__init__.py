"""Statistics as data: arrays and figures in, arrays and figures out. Pure."""
