"""Small models that measure how much of a corpus's known knowledge they store, in bits per parameter.

Needs torch and numpy only: `python -m train_probe plan.json -o DIR` runs on a bare machine.
"""
