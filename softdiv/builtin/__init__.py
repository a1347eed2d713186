"""Shipped plugins, registered exactly as foreign ones are."""
