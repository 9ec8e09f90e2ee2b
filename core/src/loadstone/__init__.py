"""Load medical images by name, through plugins."""
