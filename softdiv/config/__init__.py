"""Strict TOML/YAML to frozen attrs classes, and the catalogue of known pairs."""
