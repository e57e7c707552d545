"""Clipping of states and of denoised images: options of inverters, off by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic import Field as Limits

from odekit.core.interfaces import Field, State
from odekit.core.options import Options

if TYPE_CHECKING:
    from torch import Tensor


class ConfidenceClip(Options):
    """Before a step, x is clipped to +-(sqrt(abar) + eta sigma), the interval of the noise around pixels in [-1, 1].

    CODE, section 3.3 (confidence-based clipping). abar and sigma are those at the timestep of x. The image and level 0
    are not clipped, as in CODE's program.
    """

    use: Literal["confidence"] = "confidence"
    eta: float = Limits(default=1.7, gt=0)
    """Half the width of the noise interval in sigmas: 1.7 covers at least 91 % of the noise, 2 covers 95 %."""
    ways: Literal["both", "up"] = "both"
    """`both`: during inversion and decoding. `up`: during inversion only (as CODE does)."""

    def clip(self, y: State, rho: float) -> State:
        """y clipped to the interval at rho (in y the bound is 1 + eta rho)."""
        bound = 1.0 + self.eta * rho
        return y.clamp(-bound, bound)


class DynamicThreshold(Options):
    """In every network call of inversion and decoding, the denoised image is rescaled into [-1, 1].

    Dynamic thresholding (Imagen, arXiv:2205.11487, section 2.3): s is a quantile of |x0| over each image,
    clamped to [1, max]; x0 is clipped to +-s and divided by s, and eps is recomputed from it.
    """

    use: Literal["dynamic"] = "dynamic"
    quantile: float = Limits(default=0.98, gt=0, le=1)
    max: float = Limits(default=1.3, ge=1)

    def threshold(self, denoised: Tensor) -> Tensor:
        """x0 (N, 3, H, W) rescaled into [-1, 1]."""
        s = denoised.abs().flatten(1).quantile(self.quantile, dim=1).clamp(1.0, self.max).view(-1, 1, 1, 1)
        return denoised.clamp(-s, s) / s


class ThresholdedField:
    """A field whose eps corresponds to thresholded denoised images."""

    def __init__(self, field: Field, clip: DynamicThreshold) -> None:
        self.field = field
        self.clip = clip

    def __call__(self, y: State, rho: float, label: float | None = None) -> State:
        """`eps = (y - x0) / rho` with x0 = y - rho eps thresholded; eps itself at rho = 0."""
        eps = self.field(y, rho, label)
        return eps if rho == 0 else (y - self.clip.threshold(y - rho * eps)) / rho


def _normalised(raw: Any) -> Any:
    """A bare string is short for `{use: string}`; `{use: none}` becomes `none`."""
    if isinstance(raw, dict) and raw.get("use") == "none" and len(raw) == 1:
        return "none"
    return {"use": raw} if isinstance(raw, str) and raw != "none" else raw


def _kind(raw: Any) -> str:
    """The discriminator for pydantic: none, confidence or dynamic."""
    kind = (
        raw.get("use")
        if isinstance(raw, dict)
        else raw.use
        if isinstance(raw, (ConfidenceClip, DynamicThreshold))
        else raw
    )
    return kind if isinstance(kind, str) else ""


Clip: TypeAlias = Annotated[
    Annotated[Literal["none"], Tag("none")]
    | Annotated[ConfidenceClip, Tag("confidence")]
    | Annotated[DynamicThreshold, Tag("dynamic")],
    Discriminator(
        _kind,
        custom_error_type="clip",
        custom_error_message="clip must be 'none', {use: confidence, eta, ways} or {use: dynamic, quantile, max}",
    ),
    BeforeValidator(_normalised),
]
"""The option `clip`: `none`, `confidence` or `dynamic`, as a string or as a mapping with `use:` and options."""
