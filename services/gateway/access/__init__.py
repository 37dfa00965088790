"""Who may ask what of this gateway: keys and their file, what each route needs, and whose pages may read."""
