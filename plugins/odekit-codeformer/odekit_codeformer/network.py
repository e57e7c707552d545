"""CodeFormer's encoder and decoder with spandrel's layers: faces to codes, and codes to faces.

Written from the paper (arXiv:2206.11253, sections 3.2 and 3.3); the layers and their names are spandrel_extra_arches'.
This module calls them separately, because their `forward` cannot disable AdaIN and does not return the codes.
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
FUSIONS = {"256": (5, 18), "128": (8, 15), "64": (11, 12), "32": (14, 9)}
"""Name of a fusion -> index of the encoder block that feeds it, index of the generator block before it."""


@dataclass(frozen=True)
class Codes:
    """Outputs of the encoder and the transformer."""

    features: Tensor
    """(N, C, h, w), the output of the encoder."""
    skip_features: dict[str, Tensor]
    """Encoder features by the name of the fusion that uses them."""
    logits: Tensor
    """(N, h w, codes), of the transformer."""

    @property
    def indices(self) -> Tensor:
        """The code of every token, (N, h w)."""
        return self.logits.argmax(dim=2)


def load(file: Path, precision: str, device: str) -> nn.Module:
    """Load the network of a weights file.

    Only the generator and the fusions run in `precision`. The codes are predicted in float32, because a different code
    changes the face.

    Raises:
        WeightsError: the file does not contain CodeFormer's weights.
        PluginError: spandrel_extra_arches is not installed.
    """
    import torch

    tensors = {name: tensor.float() for name, tensor in load_tensors(file).items()}
    network = build()
    fit_system(SYSTEM, network, tensors, file)
    network = network.eval().requires_grad_(False).to(device)
    modules: Any = network
    for part in (modules.generator, modules.fuse_convs_dict):
        part.to(getattr(torch, precision))
    return network


def build() -> nn.Module:
    """The network of the published weights, without weights (on the meta device)."""
    try:
        from spandrel_extra_arches.architectures.CodeFormer import CodeFormer
    except ImportError as error:
        raise PluginError(
            f"CodeFormer needs spandrel_extra_arches: pip install spandrel_extra_arches ({error})"
        ) from error
    import torch

    with torch.device("meta"):  # not around the import, which may create tensors
        network: nn.Module = CodeFormer()
    return network


def encode(network: Any, faces: Tensor) -> Codes:
    """Encode faces (N, 3, H, W) in [-1, 1]: encoder, transformer, one code of the code book per token."""
    fusion_of_block = {source: name for name, (source, _) in FUSIONS.items() if name in network.fuse_convs_dict}
    skip_features, x = {}, faces
    for i, block in enumerate(network.encoder.blocks):
        x = block(x)
        if i in fusion_of_block:
            skip_features[fusion_of_block[i]] = x
    tokens = network.feat_emb(x.flatten(2).permute(2, 0, 1))
    position = network.position_emb[:, None].expand(-1, len(faces), -1)
    for layer in network.ft_layers:
        tokens = layer(tokens, query_pos=position)
    return Codes(x, skip_features, network.idx_pred_layer(tokens).transpose(0, 1))


def decode(network: Any, codes: Codes, fidelity: float, adain: bool) -> Tensor:
    """Decode codes to faces (N, 3, H, W), about [-1, 1], in the generator's precision.

    At `fidelity` 0 no fusion is used: the result then depends on the encoder features only (with `adain`) through
    their mean and standard deviation.
    """
    n, _, h, w = codes.features.shape
    code_book = network.quantize.embedding.weight
    x: Tensor = code_book[codes.indices].view(n, h, w, -1).permute(0, 3, 1, 2)
    if adain:
        x = adaptive_instance_norm(x, codes.features)
    dtype = network.generator.blocks[0].weight.dtype
    fusion_after_block = {block: name for name, (_, block) in FUSIONS.items() if name in network.fuse_convs_dict}
    x = x.to(dtype).contiguous()
    for i, block in enumerate(network.generator.blocks):
        x = block(x)
        if i in fusion_after_block and fidelity > 0:
            x = network.fuse_convs_dict[fusion_after_block[i]](
                codes.skip_features[fusion_after_block[i]].to(dtype), x, fidelity
            )
    return x


def adaptive_instance_norm(content: Tensor, style: Tensor) -> Tensor:
    """`content` with the mean and standard deviation of `style` per channel (AdaIN, arXiv:1703.06868, eq. 8).

    The variance is unbiased, plus 1e-5, as in CodeFormer's training.
    """
    mean, new_mean = content.mean((2, 3), keepdim=True), style.mean((2, 3), keepdim=True)
    std, new_std = ((x.var((2, 3), keepdim=True) + 1e-5).sqrt() for x in (content, style))
    out: Tensor = (content - mean) / std * new_std + new_mean
    return out
