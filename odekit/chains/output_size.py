"""The size of results before anything is computed, and its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from odekit.core.abilities import KnowsOutputSize
from odekit.core.interfaces import Stage
from odekit.errors import InputError

if TYPE_CHECKING:
    from odekit.core.image import Image


def size_after(stages: Sequence[tuple[str, Stage]], width: int, height: int) -> tuple[int, int]:
    """(width, height) in pixels after all stages. A stage that does not say its output's size counts as keeping it."""
    for _, stage in stages:
        if isinstance(stage, KnowsOutputSize):
            width, height = stage.output_size(width, height)
    return width, height


def check_output_size(image: Image, session: KnowsOutputSize, max_megapixels: float) -> None:
    """Refuse a picture whose result would be too large.

    Raises:
        InputError: more than `max_megapixels` (10^6 pixels).
    """
    width, height = session.output_size(image.width, image.height)
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise InputError(
            f"{image.width}x{image.height} px would become {width}x{height}, {megapixels:.1f} megapixels, over the "
            f"limit of {max_megapixels:g}; make it smaller, choose a smaller scale, or raise --max-megapixels"
        )
