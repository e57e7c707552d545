"""odekit on Ray: one job on many machines. See `odekit ray --help`."""
