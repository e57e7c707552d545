"""The version, and nothing else, so that records can name it without importing anything."""

__version__ = "0.1.0"
