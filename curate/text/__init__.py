"""What a rule rests on: a text's words, repeats and signals, in every language."""
