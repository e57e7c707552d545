"""Calibrations of the damage meter, the colour correction and the spectrum."""
