"""Readers of stores of features, one file format per module."""
