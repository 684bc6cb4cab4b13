"""Shards: the corpus as text and as tokens."""
