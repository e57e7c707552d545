"""The weight store: named files in one folder of this machine, downloaded or added by hand, verified."""
