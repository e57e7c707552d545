"""Weights files of the networks of stage 2, read on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from odekit.plugins import load_tensors
from odekit_diffbir.checkpoint import Tensors, load
from odekit_diffbir.prompt import embeddings
from odekit_diffbir.shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor


class NetworkFiles:
    """Loads networks from files. A file with several networks is read once, and stays in memory until `clear`."""

    def __init__(self, control: Path, base: Path, text: Path, digest: str, cache: Path, shape: Shape) -> None:
        """`base` has UNet and autoencoder; `digest` is the SHA-256 of `text`; `cache` is the folder of embeddings."""
        self.control = control
        self.base = base
        self.text = text
        self.digest = digest
        self.cache = cache
        self.shape = shape
        self._open: dict[Path, Tensors] = {}

    def tensors(self, file: Path) -> Tensors:
        """The tensors of a file. Raises WeightsError if it is damaged."""
        if file not in self._open:
            self._open[file] = load_tensors(file)
        return self._open[file]

    def clear(self) -> None:
        """Free the tensors."""
        self._open.clear()

    def embeddings(self, prompts: Sequence[str]) -> list[Tensor]:
        """The prompts' embeddings, float32 (77, width) each, on the CPU."""
        return embeddings(prompts, lambda: self.tensors(self.text), self.digest, self.cache, self.text)

    def autoencoder(self, precision: str, device: str) -> nn.Module:
        """Load the autoencoder."""
        return self._load("vae", self.base, precision).to(device)

    def denoiser(self, precision: str, device: str) -> tuple[nn.Module, nn.Module]:
        """Load ControlNet and UNet."""
        control = self._load("controlnet", self.control, precision).to(device)
        return control, self._load("unet", self.base, precision).to(device)

    def _load(self, network: str, file: Path, precision: str) -> nn.Module:
        return load(network, self.tensors(file), self.shape, getattr(torch, precision), file)
