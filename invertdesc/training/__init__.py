"""Train the networks of methods."""
