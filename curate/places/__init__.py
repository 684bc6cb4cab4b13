"""Where files are, local or in a store, and how they are written so that a reader never sees half a file."""
