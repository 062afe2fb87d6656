"""An audit as a page and as numbers."""
