"""One module per concern of the file formats: decoding, encoding, colour profiles, EXIF."""
