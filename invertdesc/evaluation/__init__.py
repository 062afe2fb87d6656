"""Measure how close reconstructions are to originals, and compare them with floors."""
