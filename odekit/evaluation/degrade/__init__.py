"""Known damage on folders of images: `odekit degrade`."""
