"""Orientations and scales that features came without, recovered."""
