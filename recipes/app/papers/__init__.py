"""The papers of a corpus: what a finished run knows of it, written for those who publish, buy or judge it."""
