"""Pure functions of two tensors of log-probabilities, and their memory-frugal application."""
