"""The built-in upsampler that sees the original: 256 px from the restored 64 px face and the face as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from odekit.core.image import RELIABILITY, Image, Pixels
from odekit.core.interfaces import Tools, UpsamplerSpec
from odekit.core.noise import Noise
from odekit.core.options import LocalPath, Options
from odekit.errors import InputError
from odekit.images.resize import resample, square_resize
from odekit.images.smooth import window_mean
from odekit.parts.upsamplers.own_detail import add_own_detail
from odekit.parts.upsamplers.worth import ResultJudgement, WorthCalibration, load_worth
from odekit.plugins.weights.lookup import network_file, read_network_config

if TYPE_CHECKING:
    from torch import Tensor

    from odekit.parts.upsamplers.guided_network import GuidedNet

LARGEST_SIDE = 512
"""Side up to which `side: auto` follows the original."""


RESTORED_CHANGE = 0.03
"""Root mean square change by the restoration at which the trust in the original falls to 1/e."""
STRENGTH_SETTINGS: dict[str, dict[str, Any]] = {
    "auto": {},
    "none": {"act": "never"},
    "light": {"act": "always", "trust": 1.0},
    "medium": {"act": "always", "trust": 0.75},
    "heavy": {"act": "always", "trust": 0.4},
}
"""The upsampler's half of each pair of `--strength`; the other half is the restoration's strength of that name.
The stronger the restoration, the less the original is trusted."""


class FaceGuided(Options):
    """Options of the upsampler `face-guided`."""

    part = "face-guided"
    weights: str = Field(default="face-guided", min_length=1)
    """Name of registered weights, or (with a slash in it) a folder written by `odekit train guided`."""
    trust: float = Field(default=1.0, ge=0, le=1)
    """How much of the original the network sees: 1 all; 0 only the restored face. The network has learnt how far to
    trust what it sees; lower it for faces whose original is worse than it looks."""
    side: Literal["auto"] | Annotated[int, Field(ge=16, le=4096)] = "auto"
    """Side of the results in pixels. `auto`: that of the original, but 256 at least and 512 at most."""
    act: Literal["auto", "always", "never"] = "auto"
    """`auto`: where the restoration changed nothing and the detail would make little difference to what people see, the
    face is left as it was (see `odekit.parts.upsamplers.worth`). `always`: every face gets the detail. `never`: no face
    that the restoration left as it was."""
    calibration: LocalPath | None = None
    """A file of `odekit calibrate act`, for `act: auto`. None: the one of the built-in weights."""

    def with_strength(self, strength: str) -> FaceGuided:
        """The settings of `--strength`: see `STRENGTH_SETTINGS`."""
        return self.model_copy(update=dict(STRENGTH_SETTINGS[strength]))

    def with_side(self, side: int) -> FaceGuided:
        """The options for results of this side."""
        return self.model_copy(update={"side": side})

    @property
    def worth(self) -> WorthCalibration:
        """The calibration of `act: auto`. Raises ConfigError if it cannot be read."""
        return load_worth(None if self.calibration is None else Path(self.calibration))


class GuidedConfig(BaseModel):
    """Architecture of the network, as stored in `odekit.json` of its folder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["guided"]
    scale: int = Field(ge=1, le=16)
    features: int = Field(ge=1, le=4096)
    convs: int = Field(ge=0, le=1024)
    side: int = Field(ge=16, le=4096)
    context: int = Field(default=0, ge=0, le=4096)


class FaceGuidedUpsampler:
    """Enlarges restored faces with a view of the original (see `odekit.core.interfaces.GuidedUpsampler`)."""

    def __init__(self, options: FaceGuided, tools: Tools) -> None:
        """Load the network onto the tools' device; it runs in float32, which takes 85 ms a face on one core.

        Raises:
            WeightsError: no such weights, or a folder that is not a guided upsampler's.
            ConfigError: the calibration cannot be read.
        """
        import torch

        from odekit.parts.upsamplers.guided_network import GuidedNet
        from odekit.plugins.weights.fit import fit
        from odekit.plugins.weights.load import load_tensors

        self.options = options
        file = network_file(options.weights, tools)
        config = read_network_config(file, GuidedConfig, "a guided upsampler", "guided")
        with torch.device("meta"):
            network = GuidedNet(config.features, config.convs, config.scale, config.context)
        fit(network, {name: tensor.float() for name, tensor in load_tensors(file).items()}, file)
        # In channels_last the convolutions of a face take three quarters of the time.
        network = network.eval().requires_grad_(False).to(tools.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: GuidedNet = network
        self.device = tools.device
        self.batch_size = 1
        self.network_side, self.small_side = config.side, config.side // config.scale
        self.worth = None if options.act == "always" else options.worth
        side = None if options.side == "auto" else options.side
        self.spec = UpsamplerSpec(side=side, aligned_faces_only=True, guided=True)

    def upsample(
        self, images: Sequence[Image], rng: Sequence[Noise], originals: Sequence[Image] | None = None
    ) -> list[Image]:
        """One face per image, in order; alpha is enlarged by Lanczos. No noise is drawn.

        Raises:
            InputError: the network returned NaN or infinite values.
        """
        sources = images if originals is None else originals
        return [self._one(image, original) for image, original in zip(images, sources, strict=True)]

    def judge(self, original: Image, result: Image) -> ResultJudgement | None:
        """Whether a result is worth more than its original, at the size that the face has in its photograph.

        None if every result is used.
        """
        if self.worth is None:
            return None
        judgement = self.worth.judge(original.pixels, result.pixels, original.native)
        return replace(judgement, act=judgement.act and self.options.act == "auto")

    def foresee(self, original: Image) -> ResultJudgement | None:
        """See `odekit.core.abilities.ForeseesJudgement`: most undamaged faces are left without a network call."""
        if self.worth is None or {original.height, original.width} != {self._side(original)}:
            return None
        judgement = self.worth.foresee(original.pixels, original.native)
        if judgement is None or (judgement.act and self.options.act == "auto"):
            return None
        return replace(judgement, act=False)

    def _side(self, original: Image) -> int:
        """Side of the result, in pixels."""
        own = max(original.height, original.width)
        return min(max(own, self.network_side), LARGEST_SIDE) if self.options.side == "auto" else self.options.side

    def _one(self, image: Image, original: Image) -> Image:
        import torch

        original, reliable = without_hidden(original, image)
        small = square_resize(image.pixels, self.small_side)
        seen = square_resize(original.pixels, self.network_side)
        with torch.inference_mode():
            x, y = (torch.from_numpy(planes)[None].to(self.device) for planes in (small, seen))
            weight = unchanged_weight(small, square_resize(original.pixels, self.small_side))
            weight = weight * square_resize(reliable, self.small_side)
            trust = torch.from_numpy(weight)[None].to(self.device) * self.options.trust
            out = self.network(x, y, self._enlarged(trust))[0].clamp(0, 1).cpu()
        if not bool(torch.isfinite(out).all()):
            raise InputError("face-guided returned NaN or infinite values; are its weights damaged?")
        side = self._side(original)
        pixels = add_own_detail(out.numpy(), seen, original.pixels, side)
        alpha = None if image.alpha is None else resample(image.alpha, side, side, "lanczos")
        return replace(image, pixels=pixels, alpha=alpha)

    def _enlarged(self, trust: Tensor) -> Tensor:
        """The trust (1, 1, s, s) of each small pixel at the size of the original."""
        from torch.nn import functional

        scale = self.network.scale
        return functional.interpolate(trust, scale_factor=scale, mode="bicubic", align_corners=False).clamp(0, 1)


def without_hidden(original: Image, restored: Image) -> tuple[Image, Pixels]:
    """The original with the restored face where it was hidden, and the map (1, h, w) of where it was not.

    The map travels with the restored face (`odekit.core.image.RELIABILITY`).
    """
    reliable = restored.extra.get(RELIABILITY)
    if reliable is None:
        return original, np.ones((1, 1, 1), np.float32)
    height, width = original.height, original.width
    weight = resample(reliable, height, width, "bicubic" if height > len(reliable) else "box")
    drawn = np.stack([resample(plane, height, width, "bicubic") for plane in restored.pixels])
    return original.with_pixels(drawn + weight * (original.pixels - drawn)), reliable[None]


def unchanged_weight(restored: Pixels, original: Pixels) -> Pixels:
    """How far the restoration left the original alone (1, n, n): `exp(-(change / RESTORED_CHANGE)^2)`.

    The change is the root mean square difference of restored and original face (3, n, n) over 5 x 5 pixels. Where the
    restoration removed damage, the original still has it and must not bring it back.
    """
    change = window_mean(((restored - original) ** 2).mean(0, np.float64), 5, "edge")
    weight: Pixels = np.exp(-change / RESTORED_CHANGE**2)[None].astype(np.float32)
    return weight
