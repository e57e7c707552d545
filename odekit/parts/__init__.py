"""The built-in parts: one folder per kind, one file per part."""
