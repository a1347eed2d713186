"""The plugin core: the contract, what travels through it, and the manager that loads plugins."""
