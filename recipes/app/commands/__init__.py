"""The commands, a file each: options, the call of what carries them out, and printing."""
