"""Training: from a recipe to a run directory full of checkpoints.

- experiment.py: a recipe -> checked, built parts, and the errors when they do not fit
- rehearsal.py: one step on copies, before anything is written
- loop.py: the one adversarial training loop
- views.py, snapshot.py: looking at a training from outside; its whole state, and back
- players.py, dealer.py, ledger.py, ema.py, randomness.py, signals.py: what the loop is made of
- checkpoint.py, run.py, observers.py: what it leaves behind, and whom it tells
"""
