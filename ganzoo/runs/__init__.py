"""Runs on the disk: the run directory, its checkpoints, and the records of its evaluations."""
