"""Known damage on folders of pictures: `odekit degrade`."""
