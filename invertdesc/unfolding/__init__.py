"""Unfold vectors to gradients in the frames of their keypoints."""
