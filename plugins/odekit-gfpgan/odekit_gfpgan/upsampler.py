"""GFPGAN as an upsampler of aligned faces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from odekit.plugins import AlignedUpsampler, Guarded, Noise, Tools, UpsamplerSpec, weights_file
from odekit_gfpgan.network import SIDE, draw_noise, load, restore
from odekit_gfpgan.options import Gfpgan

if TYPE_CHECKING:
    from torch import Tensor


class GfpganUpsampler(AlignedUpsampler):
    """See `odekit.plugins.Upsampler`."""

    def __init__(self, options: Gfpgan, tools: Tools) -> None:
        """Load the network onto the tools' device, in their precision.

        Raises:
            WeightsError: the weights are missing, or of another network.
        """
        self.options = options
        device = tools.device
        spec = UpsamplerSpec(side=SIDE, aligned_faces_only=True)
        super().__init__("GFPGAN", SIDE, self.options.batch or (1 if device == "cpu" else 4), spec, device)
        file = weights_file(self.options.weights, tools)
        precision = tools.precision
        # float16 overflows where weights are demodulated; bfloat16 has float32's range.
        self.guarded = Guarded("GFPGAN", partial(load, file, device=device), precision, safe=("bfloat16",))

    def restore(self, faces: Tensor, count: int, noise: Sequence[Noise]) -> Tensor:
        """See `AlignedUpsampler.restore`."""
        noise_inputs = None if self.options.noise == "stored" else draw_noise(self.guarded.network, noise)
        return self.guarded.run(lambda network: restore(network, faces, noise_inputs)[:count])
