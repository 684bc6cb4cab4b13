"""Readers of a finished folder: what it holds, what happened to each document, whether it is intact."""
