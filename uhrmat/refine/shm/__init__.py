"""The sparse high-resolution module of SparseMat."""
