"""Convert features to maps: cells and fields."""
