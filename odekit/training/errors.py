"""Errors of training."""

from __future__ import annotations

from odekit.errors import OdekitError


class TrainingError(OdekitError):
    """Training cannot continue: a loss that is not finite, or a folder that cannot be written."""
