"""File formats behind `odekit.io`: decoding, encoding, deep pixels, colour profiles, EXIF."""
