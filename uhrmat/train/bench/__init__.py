"""Measurements that people run on their own data with `uhrmat bench`."""
