"""A release: all that a probe read, made and found in one folder, and its proof, by training it again."""
