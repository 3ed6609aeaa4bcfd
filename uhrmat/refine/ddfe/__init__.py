"""The detail network of HRIMF-AMR."""
