"""A user's own table of facts: reading it, its facts, and the sentences that state them."""
