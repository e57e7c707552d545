"""Options of the training tasks."""
