"""Options of each training task."""
