"""Training pictures: loading, augmentation and degradation."""
