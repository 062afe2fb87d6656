"""Measure what descriptors reveal: threat models, defences, measures, a report."""
