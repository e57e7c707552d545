"""encoder4editing as an upsampler of aligned faces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from odekit.plugins import AlignedUpsampler, Guarded, Noise, Tools, UpsamplerSpec, weights_file
from odekit_e4e.encoder import SIDE
from odekit_e4e.network import E4e as E4eNetwork
from odekit_e4e.network import draw_noise, load
from odekit_e4e.options import E4e

if TYPE_CHECKING:
    from torch import Tensor


class E4eUpsampler(AlignedUpsampler):
    """See `odekit.plugins.Upsampler`."""

    def __init__(self, options: E4e, tools: Tools) -> None:
        """Load the network onto the tools' device, in their precision.

        Raises:
            WeightsError: the weights are missing, or of another network.
        """
        self.options = options
        device = tools.device
        file = weights_file(options.weights, tools)
        generator = None if options.generator is None else weights_file(options.generator, tools)
        # float16 overflows where weights are demodulated; bfloat16 has float32's range.
        read = partial(load, file, generator, device=device)
        self.guarded = Guarded("e4e", read, tools.precision, safe=("bfloat16",))
        full = self.guarded.network.decoder.side
        side = min(full, SIDE) if options.output == "pooled" else full
        spec = UpsamplerSpec(side=side, aligned_faces_only=True)
        super().__init__("e4e", SIDE, options.batch or (1 if device == "cpu" else 4), spec, device, side)

    def restore(self, faces: Tensor, count: int, noise: Sequence[Noise]) -> Tensor:
        """See `AlignedUpsampler.restore`."""
        drawn = None if self.options.noise == "stored" else draw_noise(self.guarded.network.decoder, noise)

        def call(network: E4eNetwork) -> Tensor:
            own = None if drawn is None else [n.to(network.mean) for n in drawn]
            faces_out: Tensor = network(faces.to(network.mean), own, self.options.output == "pooled")
            return faces_out[:count]

        return self.guarded.run(call)
