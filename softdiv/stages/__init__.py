"""The stages of a run. Each reads the files of the stages before it and writes its own."""
