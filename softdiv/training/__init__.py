"""A soft prompt trained to push two frozen models apart: prompt, engines, checkpoints, loop."""
