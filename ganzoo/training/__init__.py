"""Training: from a recipe to a run directory full of checkpoints.

experiment.py   a recipe -> checked, built parts (and the errors when they do not fit)
loop.py         the one adversarial training loop
players.py  dealer.py  ledger.py  ema.py  randomness.py     what the loop is made of
checkpoint.py  run.py  observers.py                         what it leaves behind, and whom it tells
"""
