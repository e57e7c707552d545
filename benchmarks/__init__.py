"""Measurements of this project: speed, memory, solvers, detectors. Run: python -m benchmarks NAME."""
