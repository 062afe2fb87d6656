"""Defences: changes of features before they are published."""
