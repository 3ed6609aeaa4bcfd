"""Training of the low-resolution prior networks: `person` finds people, `trimap` corrects the closed form."""
