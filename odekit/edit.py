"""Algorithm 1 of the paper as one loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from odekit.core.interfaces import Adaptive, Enhancer, Fitted, Inverter, Latent, Pins, Prior, State, Watch
from odekit.core.noise import Rng

if TYPE_CHECKING:
    from torch import Tensor


def no_watch(event: str, latent: Latent) -> None:
    """Watches nothing."""


def ignore_decision(fitted: Fitted) -> None:
    """Is told of decisions and forgets them."""


def edit(
    clean: State,
    inverter: Inverter,
    enhancer: Enhancer,
    prior: Prior,
    rng: Rng,
    watch: Watch = no_watch,
    *,
    repeats: int = 1,
    keep: Tensor | None = None,
    decided: Callable[[Fitted], None] = ignore_decision,
) -> State:
    """ODEdit (Algorithm 1): invert, then come back level by level, enhancing the latent where the enhancer acts.

    Args:
        clean: float64 (N, 3, H, W), the pictures in model space, in [-1, 1].
        inverter: takes states up to the highest level and back.
        enhancer: moves the latent at its levels, before the step down from there.
        prior: the model whose density the enhancer climbs.
        rng: one noise stream per row.
        watch: is told of every event.
        repeats: rounds; each starts from the result of the one before (SDEdit's repeats).
        keep: (N, 1, H, W), 1 where pixels of the input stay as they are.
        decided: is told what an adaptive enhancer decided, in every round.

    Returns:
        float64 (N, 3, H, W), the restored pictures in model space (not clipped).
    """
    acting, acts = enhancer.acts_on(inverter.levels), enhancer
    for _ in range(repeats):
        latent, untouched = inverter.invert(clean, rng), None
        watch("inverted", latent)
        if isinstance(enhancer, Adaptive):
            acts = fitted = enhancer.fitted(clean, latent, inverter.levels)
            acting, untouched = fitted.acts_on(inverter.levels), fitted.untouched
            decided(fitted)
        latent = decode(latent, inverter, acts, acting, prior, rng, watch, keep)
        if untouched:  # the exact ODE brings them back to where they came from
            latent = replace(latent, x=kept_rows(latent.x, clean, untouched))
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
    watch: Watch = no_watch,
    keep: Tensor | None = None,
) -> Latent:
    """Level by level from a latent to the image, moved by the enhancer at the levels in `acting`."""
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


def kept_rows(x: State, clean: State, rows: Sequence[int]) -> State:
    """x with these rows from `clean`."""
    x = x.clone()
    x[list(rows)] = clean[list(rows)]
    return x
