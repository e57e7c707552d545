"""The version, in a module without imports, so that records can name it cheaply."""

__version__ = "0.1.0"
