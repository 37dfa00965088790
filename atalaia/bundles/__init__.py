"""Model bundles: the folder that holds a model, what it expects, and what it was made on."""
