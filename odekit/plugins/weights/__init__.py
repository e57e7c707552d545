"""Named weights: download, store, verify, load and fit into a network."""
