"""Stage 2: Stable Diffusion samples a latent, conditioned by the stage-1 picture through the ControlNet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from odekit.plugins import BatchNoise, Guarded, Noise
from odekit_diffbir.networks import LATENT_SCALE, controls, denoise
from odekit_diffbir.options import Diffbir
from odekit_diffbir.samplers import Model, guided, sample
from odekit_diffbir.schedule import LatentSchedule
from odekit_diffbir.shapes import Shape
from odekit_diffbir.tiles import tiled

if TYPE_CHECKING:
    from odekit_diffbir.network_files import NetworkFiles

HALF = ("bfloat16", "float16")
"""Supported reduced precisions; results that overflow are recomputed in float32 (see `Guarded`)."""


class Stage2:
    """Pictures (N, 3, H, W) in [0, 1] in and out, of one size. Everything outside the networks is float32."""

    def __init__(
        self, options: Diffbir, shape: Shape, network_files: NetworkFiles, device: str, precision: str
    ) -> None:
        """Load the networks (with `low_memory`: only the prompt's embedding).

        Raises:
            WeightsError: a file is damaged or of another system.
        """
        self.options = options
        self.shape = shape
        self.network_files = network_files
        self.device = device
        self.precision = precision
        self.schedule = LatentSchedule("v" if options.stage2 == "v2.1" else "eps")
        prompts = [options.prompt, *([options.negative] if options.cfg > 1 else [])]
        self.contexts = [e.to(device) for e in network_files.embeddings(prompts)]
        self.networks: dict[str, Guarded[Any]] = {}
        if not options.low_memory:
            self._network("autoencoder")
            self._network("denoiser")
        network_files.clear()

    def _network(self, name: str) -> Guarded[Any]:
        if name not in self.networks:
            if self.options.low_memory:
                self.networks.clear()
            load = {"autoencoder": self.network_files.autoencoder, "denoiser": self.network_files.denoiser}[name]
            self.networks[name] = Guarded(f"DiffBIR's {name}", partial(load, device=self.device), self.precision, HALF)
            if self.options.low_memory:
                self.network_files.clear()
        return self.networks[name]

    @torch.inference_mode()
    def __call__(self, pictures: Tensor, noise: Sequence[Noise]) -> Tensor:
        """The generated pictures, about [0, 1], not clipped; row i uses noise from stream i."""
        height, width = pictures.shape[-2:]
        multiple = self.shape.multiple
        padded = functional.pad(pictures, (0, -width % multiple, 0, -height % multiple))
        rng = BatchNoise(noise)
        condition = self.encode(2 * padded - 1)
        start = rng.normal_like(condition)
        if self.options.start == "image":
            start = self._noised(condition, len(self.schedule.abar) - 1, start)
        if self.options.condition_noise:
            condition = self._noised(condition, self.options.condition_noise, rng.normal_like(condition))
        latent = sample(self.options, self._model(condition), self.schedule, start, rng)
        out = (self.decode(latent) + 1) / 2
        if self.options.low_memory:
            self.networks.clear()
        return out[..., :height, :width]

    def _noised(self, latent: Tensor, t: int, noise: Tensor) -> Tensor:
        abar = float(self.schedule.abar[t])
        return math.sqrt(abar) * latent + math.sqrt(1 - abar) * noise

    def encode(self, pictures: Tensor) -> Tensor:
        """Encode pictures in [-1, 1] to latents: the posterior's mean, scaled."""
        return LATENT_SCALE * self._autoencoded(
            lambda vae, x: vae.encode(x).latent_dist.mean, pictures, self.options.vae_tile, down=self.shape.factor
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents to pictures in about [-1, 1]."""
        tile = self.options.vae_tile and self.options.vae_tile // self.shape.factor
        return self._autoencoded(
            lambda vae, x: vae.decode(x).sample, latents / LATENT_SCALE, tile, up=self.shape.factor
        )

    def _autoencoded(
        self, call: Callable[[Any, Tensor], Tensor], x: Tensor, tile: int | None, up: int = 1, down: int = 1
    ) -> Tensor:
        guarded = self._network("autoencoder")
        return tiled(lambda part: guarded.run(lambda vae: call(vae, part.to(vae.dtype))), (x,), tile, up, down)

    def _model(self, condition: Tensor) -> Model:
        """The prediction of the networks for a latent under the condition, with the options' guidance."""
        guarded = self._network("denoiser")
        tile = self.options.tile and self.options.tile // self.shape.factor

        def predict(context: Tensor, x: Tensor, t: int) -> Tensor:
            def call(pair: Any, x: Tensor, condition: Tensor) -> Tensor:
                controlnet, unet = pair
                rows = [v.to(unet.dtype) for v in (x, context.expand(len(x), -1, -1), condition)]
                times = torch.full((len(x),), t, device=x.device)
                control = controls(controlnet, rows[0], times, rows[1], rows[2], self.options.strength)
                return denoise(unet, rows[0], times, rows[1], control)

            return tiled(lambda *parts: guarded.run(lambda pair: call(pair, *parts)), (x, condition), tile)

        models = [partial(predict, context) for context in self.contexts]
        return guided(models[0], models[1] if len(models) > 1 else None, self.options.cfg, self.options.cfg_rescaled)
