"""What can go wrong in a run that no other error names."""

from __future__ import annotations

from odekit.errors import OdekitError


class TrainingError(OdekitError):
    """Training cannot go on: a loss that is no number, a folder that cannot be written."""
