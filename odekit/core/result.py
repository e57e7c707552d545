"""The result of a chain for one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from odekit.core.image import Image


@dataclass
class Result:
    """Output, record and error of one image."""

    source: Image
    output: Image | None
    record: dict[str, Any]
    error: Exception | None = None
    stages: list[tuple[str, Image]] = field(default_factory=list)
    """Input, inverted latent and the output of every stage, if they were requested."""
    extras: list[tuple[str, Image]] = field(default_factory=list)
    """Additional images of a stage: `sample2`, `sample3`, ... and their `spread`."""
    original: Image | None = None
    """What guided upsamplers see as the original, if a stage corrected it (`context.original`); None: `source`."""

    @property
    def image(self) -> Image:
        """The restored image. Raises `error` if the image could not be restored."""
        if self.error is not None:
            raise self.error
        assert self.output is not None
        return self.output
