"""The stage `upsample`: one upsampler over the batch."""

from __future__ import annotations

from collections.abc import Sequence

from odekit.core.image import Image
from odekit.core.interfaces import StageContext, Tools, Upsampler
from odekit.core.precision import precision
from odekit.errors import ConfigError
from odekit.parts.stages.options import Upsample


class UpsampleStage:
    """Runs one upsampler over the batch."""

    def __init__(self, options: Upsample, tools: Tools) -> None:
        self.upsampler: Upsampler = tools.make(options.upsampler)

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """Upsampled images, in order."""
        # An upsampler makes one network call where a prior makes hundreds, so full float32 costs little.
        with precision("float32", context.state_device):
            out = self.upsampler.upsample(batch, [context.noise(image) for image in batch])
        if len(out) != len(batch):
            raise ConfigError(f"the upsampler returned {len(out)} images for {len(batch)}")
        return out
