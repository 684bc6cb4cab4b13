"""The commands: options, calls and printing, nothing else."""
