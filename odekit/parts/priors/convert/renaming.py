"""Moves tensors from one naming to another and notices what was left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from odekit.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Converted:
    """A network in diffusers' terms."""

    config: dict[str, Any]
    """Arguments of `UNet2DModel`."""
    tensors: dict[str, Tensor]
    heads: int | None = None
    """Heads of every attention, where `config` cannot say it (see `odekit.parts.priors.metadata`)."""


@dataclass
class Renaming:
    """One conversion under way: `source` shrinks while `result` grows."""

    source: dict[str, Tensor]
    result: dict[str, Tensor] = field(default_factory=dict)

    def has(self, prefix: str) -> bool:
        """Is there a module of this name that still has its tensors?"""
        return any(name.startswith(f"{prefix}.") for name in self.source)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor that must be there.

        Raises:
            WeightsError: it is not.
        """
        if name not in self.source:
            raise WeightsError(f"the tensor {name} is missing: the file is damaged or of another network")
        return tuple(self.source[name].shape)

    def take(self, name: str) -> Tensor:
        """A tensor that must be there; it is gone from the source afterwards."""
        self.shape(name)
        return self.source.pop(name)

    def layer(self, old: str, new: str) -> None:
        """Weight and bias of one layer, as they are."""
        for part in ("weight", "bias"):
            self.result[f"{new}.{part}"] = self.take(f"{old}.{part}")

    def layers(self, old: str, new: str, names: Mapping[str, str]) -> None:
        """All layers of a block by a table of names; a layer whose name ends in `?` may be absent."""
        for here, there in names.items():
            if not here.endswith("?") or self.has(f"{old}.{here[:-1]}"):
                self.layer(f"{old}.{here.rstrip('?')}", f"{new}.{there}")

    def matrix(self, old: str, new: str) -> None:
        """A 1x1 convolution as a linear layer."""
        self.result[f"{new}.weight"] = self.take(f"{old}.weight").flatten(1)
        self.result[f"{new}.bias"] = self.take(f"{old}.bias")

    def finish(self) -> dict[str, Tensor]:
        """The renamed tensors.

        Raises:
            WeightsError: some were not used, so the network has parts that cannot be expressed.
        """
        if self.source:
            raise WeightsError(
                f"{len(self.source)} tensors have no place in a diffusers UNet2DModel "
                f"(first {next(iter(self.source))}); this network cannot be converted"
            )
        return self.result


def config(channels: list[int], blocks: int, **rest: Any) -> dict[str, Any]:
    """The settings that all converted networks share, completed by their own."""
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


def time_width(move: Renaming, name: str, base: int) -> dict[str, int]:
    """The width of the time embedding, where it is not four times the first block's channels.

    Raises:
        WeightsError: the sinusoids are not as wide as the first block, which UNet2DModel cannot express.
    """
    wide, sinusoids = move.shape(name)
    if sinusoids != base:
        raise WeightsError(
            f"the time embedding starts from {sinusoids} channels and the first level has {base} (its first "
            "multiplier is not 1); a diffusers UNet2DModel cannot express this"
        )
    return {} if wide == 4 * base else {"time_embedding_dim": wide}
