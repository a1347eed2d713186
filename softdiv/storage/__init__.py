"""The only place that writes or reads run folders: atomic writes, hashes, locks, safe loading."""
