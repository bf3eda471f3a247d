"""The code that the notebooks share, and the command line."""

__version__ = "1.2.0"
