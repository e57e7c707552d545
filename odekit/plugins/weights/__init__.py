"""Named weights: download, storage, verification, and loading into a network."""
