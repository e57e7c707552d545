"""Calibrations: the damage meter (`meter`), the colour correction (`colour`) and the spectrum of faces (`spectrum`)."""
