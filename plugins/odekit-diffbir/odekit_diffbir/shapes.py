"""The shapes of DiffBIR's stage 2: the published one, and a tiny one for tests. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Sizes of the ControlNet, the UNet and the autoencoder."""

    base: int
    """Channels of the first level of UNet and ControlNet."""
    multipliers: tuple[int, ...]
    transformers: int
    """Number of levels with transformers, from the first."""
    head: int
    """Channels per attention head."""
    context: int
    """Width of the prompt's embedding."""
    vae_base: int
    vae_multipliers: tuple[int, ...]
    side: int
    """Minimum of a picture's short side in stage 2."""
    blocks: int = 2
    """Residual blocks per level, in all three networks."""
    latent: int = 4
    """Channels of a latent."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each level of UNet and ControlNet."""
        return tuple(self.base * m for m in self.multipliers)

    @property
    def factor(self) -> int:
        """Side of a picture divided by the side of its latent."""
        return int(2 ** (len(self.vae_multipliers) - 1))

    @property
    def multiple(self) -> int:
        """Pictures are padded to multiples of this, so that its size is an integer at every level of the UNet."""
        return int(self.factor * 2 ** (len(self.multipliers) - 1))

    @property
    def controls(self) -> int:
        """Number of control tensors: one per skip connection of the UNet, and one for the middle block."""
        return len(self.multipliers) * (self.blocks + 1) + 1


SD21 = Shape(320, (1, 2, 4, 4), 3, 64, 1024, 128, (1, 2, 4, 4), side=512)
"""Stable Diffusion 2.1 and the ControlNets published for it."""

TINY = Shape(32, (1, 2, 2), 2, 16, 64, 32, (1, 2, 2), side=32)
"""A small version for tests; no published weights have this shape."""

SHAPES = {"sd21": SD21, "tiny": TINY}
