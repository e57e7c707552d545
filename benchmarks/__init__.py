"""Measurements of this project: speed, memory, solvers, networks, detectors. Run: python -m benchmarks NAME."""
