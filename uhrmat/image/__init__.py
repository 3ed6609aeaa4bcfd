"""One photograph, from its files to its files: planned, read, matted, written."""
