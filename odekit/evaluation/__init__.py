"""Measures over many pictures: `odekit eval`, `odekit degrade`, and the experiments."""
