"""M models trained at once as one program: the stack, its loss, experts, optimiser and step."""
