"""Image file formats: decoding, encoding, 16-bit PNG and TIFF, ICC profiles, EXIF."""
