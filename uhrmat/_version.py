"""The version, for code that must not load the package's interface."""

__version__ = "0.1.0"
