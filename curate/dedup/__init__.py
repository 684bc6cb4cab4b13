"""Deduplication: exact, near by MinHash with every merge verified, of lines, of passages. Imported when asked for."""

from curate.registry import steps_in

__getattr__ = steps_in(__name__)
