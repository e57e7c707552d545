"""Clipping of states and of denoised pictures: options of inverters, off by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic import Field as Limits

from odekit.core.interfaces import Field, State
from odekit.core.options import Options

if TYPE_CHECKING:
    from torch import Tensor


class Confidence(Options):
    """Before a step, x is held inside +-(sqrt(abar) + eta sigma), the noise's interval around pixels in [-1, 1].

    CODE, section 3.3 (confidence-based clipping). abar and sigma are those of the level that x is at, found by its
    timestep. The image and level 0 are left alone, as in CODE's program.
    """

    use: Literal["confidence"] = "confidence"
    eta: float = Limits(default=1.7, gt=0)
    """Half the interval's width in sigmas: 1.7 covers at least 91 % of the noise, 2 covers 95 %."""
    ways: Literal["both", "up"] = "both"
    """On the way up and down, or on the way up alone (as CODE does)."""

    def held(self, y: State, rho: float) -> State:
        """y inside the interval of its level (in y the bound is 1 + eta rho)."""
        bound = 1.0 + self.eta * rho
        return y.clamp(-bound, bound)


class Dynamic(Options):
    """In every network call of the inverter, both ways, the denoised picture is scaled back into [-1, 1].

    Dynamic thresholding (Imagen, arXiv:2205.11487, section 2.3): s is a quantile of |x0| over each picture, held
    between 1 and max; x0 is clipped to +-s and divided by s, and eps recomputed from it.
    """

    use: Literal["dynamic"] = "dynamic"
    quantile: float = Limits(default=0.98, gt=0, le=1)
    max: float = Limits(default=1.3, ge=1)

    def thresholded(self, denoised: Tensor) -> Tensor:
        """x0 (N, 3, H, W) inside [-1, 1]."""
        size = denoised.abs().flatten(1).quantile(self.quantile, dim=1).clamp(1.0, self.max).view(-1, 1, 1, 1)
        return denoised.clamp(-size, size) / size


class ThresholdedField:
    """A field whose eps belongs to thresholded denoised pictures."""

    def __init__(self, field: Field, clip: Dynamic) -> None:
        self.field = field
        self.clip = clip

    def __call__(self, y: State, rho: float, label: float | None = None) -> State:
        """`eps = (y - x0) / rho` with x0 = y - rho eps thresholded; at rho = 0 there is nothing to change."""
        eps = self.field(y, rho, label)
        return eps if rho == 0 else (y - self.clip.thresholded(y - rho * eps)) / rho


def _spelled(raw: Any) -> Any:
    """A bare word is `{use: word}`, and `{use: none}` is the word."""
    if isinstance(raw, dict) and raw.get("use") == "none" and len(raw) == 1:
        return "none"
    return {"use": raw} if isinstance(raw, str) and raw != "none" else raw


def _kind(raw: Any) -> str:
    """Which of the three it is, for pydantic."""
    found = raw.get("use") if isinstance(raw, dict) else raw.use if isinstance(raw, (Confidence, Dynamic)) else raw
    return found if isinstance(found, str) else ""


Clip: TypeAlias = Annotated[
    Annotated[Literal["none"], Tag("none")]
    | Annotated[Confidence, Tag("confidence")]
    | Annotated[Dynamic, Tag("dynamic")],
    Discriminator(
        _kind,
        custom_error_type="clip",
        custom_error_message="clip is 'none', {use: confidence, eta, ways} or {use: dynamic, quantile, max}",
    ),
    BeforeValidator(_spelled),
]
"""The option `clip`: `none`, `confidence` or `dynamic`, alone or with options behind `use:`."""
