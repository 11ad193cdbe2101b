"""Training: from a recipe to a run directory with checkpoints.

See these files first:

- experiment.py: a recipe -> checked and built parts, and the errors if they do not fit
- state.py: the networks, players and generators; one training step; save and load
- trainer.py: the loop around the step: ticks, pictures, evaluations, checkpoints, signals, rollbacks

The others are what these are made of.
"""
