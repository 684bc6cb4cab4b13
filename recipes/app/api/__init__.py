"""What `import goldsand` gives: what the commands do, as functions that return objects."""
