"""Training of the learned methods on anybody's pictures."""
