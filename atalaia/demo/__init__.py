"""The story told by ``atalaia demo``: every row answered, every change found, every number counted again."""
