"""The straight colour of the foreground, and a screen's light taken off it."""
