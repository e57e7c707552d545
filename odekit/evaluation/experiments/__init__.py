"""Comparisons of methods: Table 1, synergy, sweeps, trade-off."""
