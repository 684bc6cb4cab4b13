"""Protocols and statistics: what is trained to answer a question, and what the answer is worth."""
