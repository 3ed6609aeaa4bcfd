"""The closed form and its non-local affinities in torch, for GPUs: Laplacian, neighbours, multigrid, solver."""
