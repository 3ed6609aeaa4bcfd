"""The straight colour of the foreground, and despill."""
