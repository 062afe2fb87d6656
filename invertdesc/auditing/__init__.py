"""What descriptors give away and what would stop it: threats, defences, measures, one report."""
