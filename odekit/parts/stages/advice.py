"""What to do with a picture that is not an aligned face."""

from __future__ import annotations

from odekit.core.image import Image
from odekit.errors import InputError


def photo_advice(place: str) -> str:
    """What to do with a picture that is not an aligned face, by the place of the stage (`RunContext.place`)."""
    if ".background." in place:
        return "in 'faces', 'restore' belongs into 'each', not into 'background'"
    if ".each." in place:
        return "in 'each', the stages before 'restore' must keep the face square"
    return "for a whole photograph use 'odekit run photo'"


def not_aligned_error(image: Image, reason: str, place: str = "") -> InputError:
    """The error for a whole photograph where an aligned face is expected."""
    return InputError(
        f"{image.width}x{image.height} is a whole photograph ({reason}); {photo_advice(place)}, or, if it is an "
        "aligned face, --set restore.aligned=trust"
    )
