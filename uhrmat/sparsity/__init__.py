"""Which pixels the refiner computes: spatial and temporal sparsity (SparseMat §3.2), fusion (SparseMat Eq. 2)."""
