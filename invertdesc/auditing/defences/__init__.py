"""What an owner of descriptors can do before publishing them."""
