"""Which pixels are computed: by space (SparseMat, Eq. 1) and by time (Eq. 2)."""
