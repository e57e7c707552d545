"""What a chain gives back for one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from odekit.core.image import Image


@dataclass
class Result:
    """What became of one image. `image` raises the error where it could not be restored."""

    source: Image
    output: Image | None
    record: dict[str, Any]
    error: Exception | None = None
    stages: list[tuple[str, Image]] = field(default_factory=list)
    """Input, inverted latent and every stage's output, when asked to keep them."""
    extras: list[tuple[str, Image]] = field(default_factory=list)
    """What a stage made beside its output: `sample2`, `sample3`, ... and their `spread`."""

    @property
    def image(self) -> Image:
        """The restored image."""
        if self.error is not None:
            raise self.error
        assert self.output is not None
        return self.output
