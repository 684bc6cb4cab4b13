"""Finds personal identifiers, and masks, cuts or replaces them. A class is imported when first asked for."""

from curate.registry import steps_in

__getattr__ = steps_in(__name__)
