"""Features to maps: cells and fields."""
