"""Training tasks: what is trained, one file per kind of network."""
