"""Runs the analyzers over the findings."""
