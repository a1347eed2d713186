"""HTML, Markdown and JSON from one typed Report."""
