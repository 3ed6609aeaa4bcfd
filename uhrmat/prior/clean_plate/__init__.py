"""Low-resolution alpha from a picture of the scene without its subject."""
