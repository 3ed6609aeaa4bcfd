"""Training: synthetic scenes, losses, loops and recipes."""
