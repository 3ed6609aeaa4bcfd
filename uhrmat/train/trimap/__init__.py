"""Training of the network that corrects the affinity prior behind a trimap (see `prior.networks.lpn_trimap`).

`cutouts` cuts subjects out of photographs, `scenes` composites them with drawn trimaps and solves the prior, `task`
holds crops, loss and validation, `run` the whole training run.
"""
