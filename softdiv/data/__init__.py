"""User texts: sources, filters, and a split that does not move when texts are added."""
