"""Training pictures: loading, augmentation and damage."""
