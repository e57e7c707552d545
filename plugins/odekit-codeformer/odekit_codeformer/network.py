"""CodeFormer's two halves on spandrel's layers: a face to codes, and codes to a face.

Written from the paper (arXiv:2206.11253, sections 3.2 and 3.3); the layers and their names are spandrel_extra_arches'.
They are taken apart here because their own `forward` neither lets AdaIN be switched off nor tells the codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import PluginError
from odekit.plugins import fit_system, load_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDE = 512
SYSTEM = "CodeFormer"
BRIDGES = {"256": (5, 18), "128": (8, 15), "64": (11, 12), "32": (14, 9)}
"""Fusion by its name: the encoder block whose output it takes, and the generator block that it follows."""


@dataclass(frozen=True)
class Codes:
    """What the encoder and the transformer make of faces."""

    features: Tensor
    """(N, C, h, w) at the bottom of the encoder."""
    taps: dict[str, Tensor]
    """Encoder features by the fusion that takes them."""
    logits: Tensor
    """(N, h w, codes)."""

    @property
    def indices(self) -> Tensor:
        """The code of every token, (N, h w)."""
        return self.logits.argmax(dim=2)


def load(file: Path, precision: str, device: str) -> nn.Module:
    """The network of a weights file, ready to run.

    Only what turns codes into a picture runs in the given precision: codes are chosen in float32, because one other
    code is another face.

    Raises:
        WeightsError: not CodeFormer's weights.
        PluginError: spandrel_extra_arches is not installed.
    """
    import torch

    tensors = {name: tensor.float() for name, tensor in load_tensors(file).items()}
    network = build()
    fit_system(SYSTEM, network, tensors, file)
    network = network.eval().requires_grad_(False).to(device)
    parts: Any = network
    for half in (parts.generator, parts.fuse_convs_dict):
        half.to(getattr(torch, precision))
    return network


def build() -> nn.Module:
    """The network of the published weights, without numbers (on the meta device)."""
    try:
        from spandrel_extra_arches.architectures.CodeFormer import CodeFormer
    except ImportError as error:
        raise PluginError(
            f"CodeFormer needs spandrel_extra_arches: pip install spandrel_extra_arches ({error})"
        ) from error
    import torch

    with torch.device("meta"):  # not around the import, which may make tensors of its own
        network: nn.Module = CodeFormer()
    return network


def encode(network: Any, faces: Tensor) -> Codes:
    """Faces (N, 3, H, W) in [-1, 1] to codes: encoder, transformer, one choice of the code book per token."""
    wanted = {tap: name for name, (tap, _) in BRIDGES.items() if name in network.fuse_convs_dict}
    taps, x = {}, faces
    for i, block in enumerate(network.encoder.blocks):
        x = block(x)
        if i in wanted:
            taps[wanted[i]] = x
    tokens = network.feat_emb(x.flatten(2).permute(2, 0, 1))
    place = network.position_emb[:, None].expand(-1, len(faces), -1)
    for layer in network.ft_layers:
        tokens = layer(tokens, query_pos=place)
    return Codes(x, taps, network.idx_pred_layer(tokens).transpose(0, 1))


def decode(network: Any, codes: Codes, fidelity: float, adain: bool) -> Tensor:
    """Codes to faces (N, 3, H, W), about [-1, 1], in the generator's precision.

    At `fidelity` 0 no fusion takes part, so that nothing of the encoder but (with `adain`) the mean and spread of its
    last features is left.
    """
    n, _, h, w = codes.features.shape
    book = network.quantize.embedding.weight
    x: Tensor = book[codes.indices].view(n, h, w, -1).permute(0, 3, 1, 2)
    if adain:
        x = restyled(x, codes.features)
    dtype = network.generator.blocks[0].weight.dtype
    after = {block: name for name, (_, block) in BRIDGES.items() if name in network.fuse_convs_dict}
    x = x.to(dtype).contiguous()
    for i, block in enumerate(network.generator.blocks):
        x = block(x)
        if i in after and fidelity > 0:
            x = network.fuse_convs_dict[after[i]](codes.taps[after[i]].to(dtype), x, fidelity)
    return x


def restyled(content: Tensor, style: Tensor) -> Tensor:
    """Content with the style's mean and standard deviation per channel (AdaIN, arXiv:1703.06868, eq. 8).

    The variance is the unbiased one, with 1e-5 added, as in CodeFormer's training.
    """
    mean, new_mean = content.mean((2, 3), keepdim=True), style.mean((2, 3), keepdim=True)
    spread, new_spread = ((x.var((2, 3), keepdim=True) + 1e-5).sqrt() for x in (content, style))
    out: Tensor = (content - mean) / spread * new_spread + new_mean
    return out
