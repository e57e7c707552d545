"""Algorithm 1 of the paper (ODEdit) as one loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from odekit.core.interfaces import Adaptive, Enhancer, Fitted, Inverter, Latent, Pins, Prior, State, TakesMask, Watch
from odekit.core.noise import Rng

if TYPE_CHECKING:
    from torch import Tensor


def ignore_event(event: str, latent: Latent) -> None:
    """A progress callback that does nothing."""


def ignore_decision(fitted: Fitted) -> None:
    """A decision callback that does nothing."""


def edit(
    clean: State,
    inverter: Inverter,
    enhancer: Enhancer,
    prior: Prior,
    rng: Rng,
    watch: Watch = ignore_event,
    *,
    repeats: int = 1,
    keep: Tensor | None = None,
    decided: Callable[[Fitted], None] = ignore_decision,
) -> State:
    """Invert images along the ODE, then decode them level by level and enhance the latent on the way (Algorithm 1).

    Args:
        clean: float64 (N, 3, H, W), the images in model space, in [-1, 1].
        inverter: maps an image to the highest noise level and back.
        enhancer: updates the latent at its levels, before the step down from that level.
        prior: the diffusion model whose density the enhancer increases.
        rng: one noise stream per row.
        watch: progress callback, called at every event.
        repeats: number of rounds; each round starts from the result of the previous one (SDEdit's repeats).
        keep: (N, 1, H, W), 1 where the pixels of the input are kept.
        decided: callback that receives the decisions of an adaptive enhancer, once per round.

    Returns:
        float64 (N, 3, H, W), the restored images in model space (not clipped).
    """
    acting, active_enhancer = enhancer.acts_on(inverter.levels), enhancer
    for _ in range(repeats):
        latent, untouched = inverter.invert(clean, rng), None
        if keep is not None and isinstance(inverter, TakesMask):
            latent = inverter.masked(latent, keep)
        watch("inverted", latent)
        if isinstance(enhancer, Adaptive):
            active_enhancer = fitted = enhancer.adapt(clean, latent, inverter.levels)
            acting, untouched = fitted.acts_on(inverter.levels), fitted.unchanged_rows
            decided(fitted)
        latent = decode(latent, inverter, active_enhancer, acting, prior, rng, watch, keep)
        if untouched:  # the exact ODE maps these rows back to the input, so the input is used
            latent = replace(latent, x=replace_rows(latent.x, clean, untouched))
        clean = latent.x if keep is None else keep * clean + (1 - keep) * latent.x
        watch("restored", latent)
    return clean


def decode(
    latent: Latent,
    inverter: Inverter,
    enhancer: Enhancer,
    acting: frozenset[int],
    prior: Prior,
    rng: Rng,
    watch: Watch = ignore_event,
    keep: Tensor | None = None,
) -> Latent:
    """Step from a latent down to the image, and enhance it at the levels in `acting`."""
    while latent.level >= 0:
        if latent.level in acting:
            x = enhancer.enhance(latent.x, latent.level, inverter.levels, prior, rng)
            latent = inverter.moved(latent, x)
            watch("enhanced", latent)
        latent = inverter.descend(latent, rng)
        if keep is not None and isinstance(inverter, Pins):
            latent = inverter.pin(latent, keep)
        watch("descended", latent)
    return latent


def replace_rows(x: State, clean: State, rows: Sequence[int]) -> State:
    """A copy of x with these rows replaced by those of `clean`."""
    x = x.clone()
    x[list(rows)] = clean[list(rows)]
    return x
