"""The code that the notebooks share, and the command line."""

__version__ = "1.3.0"
