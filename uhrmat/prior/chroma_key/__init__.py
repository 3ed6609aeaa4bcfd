"""Low-resolution alpha before a screen of one colour."""
