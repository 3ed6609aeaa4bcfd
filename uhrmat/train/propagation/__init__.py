"""Training of the network that the mask propagation of every clip starts from (see `video.propagation.network`).

`samples` makes pairs (picture and imperfect last mask, mask) from photographs, `task` holds loss and validation, `run`
the whole training run.
"""
