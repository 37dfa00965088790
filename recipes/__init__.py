"""Recipes: from data to a bundle, one file each."""
