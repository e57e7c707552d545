"""Renames tensors, and reports tensors that were not renamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from odekit.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ConvertedNetwork:
    """A converted network: diffusers' configuration and tensor names."""

    config: dict[str, Any]
    """Arguments of `UNet2DModel`."""
    tensors: dict[str, Tensor]
    """Under diffusers' names."""
    heads: int | None = None
    """Number of heads of every attention, where `unet_config` cannot express it; see `odekit.parts.priors.metadata`."""


@dataclass
class TensorRenaming:
    """One conversion: its methods move tensors from `source` to `result`."""

    source: dict[str, Tensor]
    result: dict[str, Tensor] = field(default_factory=dict)

    def has(self, prefix: str) -> bool:
        """Whether `source` still has tensors of this module."""
        return any(name.startswith(f"{prefix}.") for name in self.source)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor of `source`.

        Raises:
            WeightsError: there is no such tensor.
        """
        if name not in self.source:
            raise WeightsError(f"the tensor {name} is missing: the file is damaged or of another network")
        return tuple(self.source[name].shape)

    def take(self, name: str) -> Tensor:
        """Remove a tensor from `source` and return it. Raises WeightsError if there is no such tensor."""
        self.shape(name)
        return self.source.pop(name)

    def layer(self, old: str, new: str) -> None:
        """Move weight and bias of one layer, unchanged."""
        for parameter in ("weight", "bias"):
            self.result[f"{new}.{parameter}"] = self.take(f"{old}.{parameter}")

    def layers(self, old: str, new: str, names: Mapping[str, str]) -> None:
        """Move the layers of a block by a table of names, old to new; an old name that ends in `?` may be absent."""
        for old_name, new_name in names.items():
            if not old_name.endswith("?") or self.has(f"{old}.{old_name[:-1]}"):
                self.layer(f"{old}.{old_name.rstrip('?')}", f"{new}.{new_name}")

    def matrix(self, old: str, new: str) -> None:
        """Move a 1x1 convolution as a linear layer."""
        self.result[f"{new}.weight"] = self.take(f"{old}.weight").flatten(1)
        self.result[f"{new}.bias"] = self.take(f"{old}.bias")

    def finish(self) -> dict[str, Tensor]:
        """The renamed tensors.

        Raises:
            WeightsError: tensors are left in `source`, so the network has parts that UNet2DModel does not support.
        """
        if self.source:
            raise WeightsError(
                f"{len(self.source)} tensors do not exist in a diffusers UNet2DModel "
                f"(first {next(iter(self.source))}); this network cannot be converted"
            )
        return self.result


def unet_config(channels: list[int], blocks: int, **rest: Any) -> dict[str, Any]:
    """A `UNet2DModel` configuration: the settings that all converted networks share, and `rest`."""
    return {
        "_class_name": "UNet2DModel",
        "act_fn": "silu",
        "block_out_channels": channels,
        "layers_per_block": blocks,
        "norm_num_groups": 32,
        "mid_block_scale_factor": 1,
        "time_embedding_type": "positional",
        "dropout": 0.0,
    } | rest


def time_embedding_setting(renaming: TensorRenaming, name: str, base: int) -> dict[str, int]:
    """The `time_embedding_dim` setting, where the width is not four times the first block's channels.

    Raises:
        WeightsError: the sinusoidal embedding is not as wide as the first block, which UNet2DModel does not support.
    """
    width, sinusoids = renaming.shape(name)
    if sinusoids != base:
        raise WeightsError(
            f"the time embedding starts from {sinusoids} channels and the first level has {base} (its first "
            "multiplier is not 1); a diffusers UNet2DModel does not support this"
        )
    return {} if width == 4 * base else {"time_embedding_dim": width}
