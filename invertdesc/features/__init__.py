"""Local features of images, one by one and packed."""
