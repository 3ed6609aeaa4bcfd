"""Training of `lpn-subject`, the network that finds the salient subject of a photograph without hints.

`photos` reads photographs and their tags, `teachers` labels those without masks, `views` draws training pictures on the
training device, `task` holds losses and validation, `run` the whole training run.
"""
