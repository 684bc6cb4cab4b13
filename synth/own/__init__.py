"""A user's own table of facts: reading it, its facts, and how they are told."""
