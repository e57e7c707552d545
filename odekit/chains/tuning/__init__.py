"""Automatic precision and batch size, measured once and cached."""
