"""Options of the upsampler `e4e`. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from odekit.plugins import Options


class E4e(Options):
    """encoder4editing on aligned faces; the output has the generator's side, 1024 px, for any input size."""

    part = "e4e"
    weights: str = Field(default="e4e-ffhq", min_length=1)
    """`e4e-ffhq`, other registered weights, or the path of a file. Sizes and the number of codes are the file's."""
    generator: str | None = Field(default=None, min_length=1)
    """A file with a generator (`g_ema`) that replaces the one in `weights`, such as a fine-tuned one."""
    output: Literal["full", "pooled"] = "full"
    """`full`: the generator's picture; `pooled`: averaged to 256 px."""
    noise: Literal["stored", "seeded"] = "stored"
    """Noise inputs of StyleGAN2: `stored` uses the noise in the weights file, as the official program; `seeded` draws
    from the random stream of the picture."""
    batch: int | None = Field(default=None, ge=1, le=64)
    """Batch size; smaller batches are padded. None: 1 on a CPU, where larger batches are not faster; otherwise 4."""

    def weight_names(self) -> Sequence[str]:
        """Weights by registered name or by path."""
        return [self.weights] if self.generator is None else [self.weights, self.generator]
