"""Priors: what is foreground, decided on a small copy of the picture."""
