"""Automatic precision and batch size: measured once per machine, then cached."""
