"""CodeFormer as an upsampler of aligned faces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from odekit.plugins import AlignedUpsampler, Guarded, Noise, Tools, UpsamplerSpec, weights_file
from odekit_codeformer.network import SIDE, decode, encode, load
from odekit_codeformer.options import Codeformer

if TYPE_CHECKING:
    from torch import Tensor


class CodeformerUpsampler(AlignedUpsampler):
    """See `odekit.plugins.Upsampler`. No noise is drawn."""

    def __init__(self, options: Codeformer, tools: Tools) -> None:
        """Load the network onto the tools' device.

        Raises:
            WeightsError: the weights are missing, or of another network.
        """
        self.options = options
        device = tools.device
        spec = UpsamplerSpec(side=SIDE, aligned_faces_only=True)
        super().__init__("CodeFormer", SIDE, self.options.batch or (1 if device == "cpu" else 4), spec, device)
        file = weights_file(self.options.weights, tools)
        precision = tools.precision
        self.guarded = Guarded("CodeFormer", partial(load, file, device=device), precision, safe=("bfloat16",))

    def restore(self, faces: Tensor, count: int, noise: Sequence[Noise]) -> Tensor:
        """See `AlignedUpsampler.restore`."""
        settings = (self.options.fidelity, self.options.adain)
        return self.guarded.run(lambda network: decode(network, encode(network, faces), *settings)[:count])
