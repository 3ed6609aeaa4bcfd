"""Trimaps, masks, mattes, plates and key colours: read, checked against each other, one normalisation for all."""
