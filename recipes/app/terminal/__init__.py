"""What a person sees in a terminal: consoles, tables, progress."""
