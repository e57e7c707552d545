"""The version, in a module without imports, so that records can name it cheaply."""

__version__ = "0.1.0"
RESULTS = 1
"""Raised when results change for another reason than a part (`Entry.results`): reading and writing of pictures,
resizing, Algorithm 1, batches. A resume compares it."""
