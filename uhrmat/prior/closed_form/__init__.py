"""Low-resolution alpha solved from a trimap: affinities, their solvers and what helps them."""
