"""Local features of one image and of batches of images."""
