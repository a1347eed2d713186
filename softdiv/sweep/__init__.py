"""Several pairs, one table: a series of checkpoints, of quantisations, of adapters."""
