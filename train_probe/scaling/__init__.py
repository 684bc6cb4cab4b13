"""Scaling laws: fit, predict, plan, and say what the points cannot carry.

    from train_probe.scaling import fit, Law

No torch here and nothing else of `train_probe`: numpy, and scipy from the extra `fit`.
"""

from train_probe.scaling.fitting import Fit, Objective, fit
from train_probe.scaling.laws import LAWS, Law
from train_probe.scaling.points import Points

__all__ = ["LAWS", "Fit", "Law", "Objective", "Points", "fit"]
