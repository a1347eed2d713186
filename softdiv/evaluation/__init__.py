"""Held-out scoring of text prompts, statistics, and the verdict."""
