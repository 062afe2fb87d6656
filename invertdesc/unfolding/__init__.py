"""Vectors to gradients, and the frames that they lie in."""
