"""Training of `lpn-person`, which finds people without hints."""
