"""Model organisms: adapters with a planted, known difference, and the recipe that made each."""
