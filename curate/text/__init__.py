"""What filters measure of a text: its words, its repeated n-grams and other signals, in every language."""
