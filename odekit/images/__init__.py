"""Reading and writing of image files, resizing, colour spaces, and sets of face images."""
