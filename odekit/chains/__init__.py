"""Chains: read from YAML or built in Python, checked, planned, and opened as a session that runs on images."""
