"""Picture files to `Image` and back, resizing, colour spaces, and sets of face pictures."""
