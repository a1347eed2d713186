"""The command line, the only place that prints. A command's module is imported when called."""
