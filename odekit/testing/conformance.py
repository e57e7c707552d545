"""Conformance kit: what every part must keep, for plugin authors to call in their own tests.

```python
from odekit.testing import check_solver, check_upsampler

def test_solver(): check_solver(lambda: MySolver(MyOptions()))
def test_upsampler(): check_upsampler(lambda: MyUpsampler(MyOptions()))
```

Each check raises AssertionError with what was expected and what was seen.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from odekit.chains.chain import Chain
from odekit.chains.tools import Toolbox
from odekit.core.image import Image
from odekit.core.interfaces import Enhancer, Inverter, Prior, Solver, Upsampler
from odekit.core.noise import BatchNoise, ImageNoise, stream
from odekit.core.psnr import psnr
from odekit.errors import OdekitError
from odekit.parts.installed import catalog
from odekit.testing.exact import GaussianField, GaussianModel, TwinField, log_grid, points, round_trip, travel
from odekit.testing.goldens import fill


def observed_order(make: Callable[[], Solver], down: bool = False, n: int = 96) -> float:
    """Order from three runs with n, 2n and 4n steps on a curved exact field: no reference solution is needed."""
    field, start = TwinField(), points()
    ends = []
    for steps in (n, 2 * n, 4 * n):
        rhos = log_grid(steps)[::-1] if down else log_grid(steps)
        ends.append(travel(make(), field, start * (rhos[0] + 1), rhos))
    return math.log2(float((ends[0] - ends[1]).abs().max() / (ends[1] - ends[2]).abs().max()))


def check_solver(make: Callable[[], Solver], tolerance: float = 0.15) -> None:
    """Declared order and calls, both ways; round trip; displacement; the same bytes twice; no eye on batch mates."""
    solver = make()
    adaptive = math.isnan(solver.nfe_per_step)
    if not adaptive:
        for down in (False, True):
            seen = observed_order(make, down)
            way = "down" if down else "up"
            assert abs(seen - solver.order) <= tolerance, f"order {seen:.2f} seen going {way}, {solver.order} declared"
        field = GaussianField()
        travel(solver, field, points(), log_grid(32))
        assert field.calls == round(32 * solver.nfe_per_step), (
            f"{field.calls} calls in 32 steps, {solver.nfe_per_step} each declared"
        )
    y, rhos = points(), log_grid(64)
    back = psnr(round_trip(make(), GaussianField(lossy=True), y, rhos), y, peak=2.0)
    least = 190.0 if solver.reversible else 20.0
    assert back >= least, f"round trip of {back:.1f} dB, at least {least:.0f} expected"
    check_displacement(make)
    check_other_rows(make)
    field = GaussianField()
    once, again = (travel(make(), field, y, rhos) for _ in range(2))
    assert torch.equal(once, again), "two runs on the same input differ"
    alone = torch.cat([travel(make(), field, row[None], rhos) for row in y])
    assert (alone - once).abs().max() <= 1e-12, "a row's result depends on its batch mates"


def check_displacement(make: Callable[[], Solver], least: float = 35.0) -> None:
    """After an edit of 0.02 RMS at mid level, the way down responds as the exact ODE does."""
    field, y = GaussianField(), points()
    rhos = log_grid(64)
    delta = 0.02 * torch.from_numpy(np.random.Generator(np.random.Philox(7)).standard_normal(tuple(y.shape)))
    ends = []
    for edit in (torch.zeros_like(y), delta):
        solver = make()
        carry = solver.start(field, y, rhos[0])
        for rho in rhos[1:]:
            carry = solver.step(field, carry, rho)
        carry = solver.turn(carry)
        for rho in rhos[-2:31:-1]:
            carry = solver.step(field, carry, rho)
        carry = solver.displace(carry, edit)
        for rho in rhos[31::-1]:
            carry = solver.step(field, carry, rho)
        ends.append(carry.y)
    exact = field.flow(delta + field.mean, rhos[32], rhos[0]) - field.mean
    seen = psnr(ends[1] - ends[0], exact, peak=2.0)
    assert seen >= least, f"the response to an edit is off the exact one: {seen:.1f} dB, at least {least:.0f} expected"


def check_other_rows(make: Callable[[], Solver]) -> None:
    """An edit of one picture (by clipping, say) leaves the bytes of its batch mates alone, wherever it happens."""
    y, rhos = points(), log_grid(32)
    delta = torch.zeros_like(y)
    delta[1] = 0.1

    def way(at: int | None) -> Tensor:
        solver, field = make(), GaussianField()
        carry = solver.start(field, y, rhos[0])
        for rho in rhos[1:]:
            carry = solver.step(field, carry, rho)
        carry = solver.turn(carry)
        for i in range(32, 0, -1):
            carry = solver.displace(carry, delta) if i == at else carry
            carry = solver.step(field, carry, rhos[i - 1])
        end: Tensor = carry.y
        return end

    untouched = way(None)
    for at in (32, 20, 1):
        touched = way(at)
        assert not torch.equal(touched[1], untouched[1]), f"an edit {32 - at} steps below the top has no effect"
        for row in (0, 2):
            assert torch.equal(touched[row], untouched[row]), (
                f"an edit of another picture, {32 - at} steps below the top, changes the bytes of one without edit"
            )


def noise(rows: int, seed: int = 0) -> BatchNoise:
    """A batch's noise: one keyed stream per row."""
    return BatchNoise([ImageNoise(stream(seed, f"row {i}", "test")) for i in range(rows)])


def check_inverter(make: Callable[[Prior], Inverter], side: int = 8) -> None:
    """Shapes, levels, determinism, independence of batch mates, `moved`, and no use of global generators."""
    prior = GaussianModel(side)
    clean = points(2, side).clamp(-1, 1)

    def run(rows: slice, shift: float = 0.0) -> Tensor:
        inverter, rng = make(prior), BatchNoise(noise(2).rows[rows])
        latent = inverter.invert(clean[rows], rng)
        assert latent.level == len(inverter.levels) - 1, (
            f"inversion ends at level {latent.level} of {len(inverter.levels)}"
        )
        if shift:
            latent = inverter.moved(latent, latent.x + shift)
        while latent.level >= 0:
            before = latent.level
            latent = inverter.descend(latent, rng)
            assert latent.level == before - 1, f"descend went from level {before} to {latent.level}"
        assert latent.x.shape == clean[rows].shape and latent.x.dtype == torch.float64, (
            "states are float64 of the input's shape"
        )
        return latent.x

    state = torch.get_rng_state()
    both = run(slice(0, 2))
    assert torch.equal(torch.get_rng_state(), state), "torch's global generator was used"
    assert torch.equal(both, run(slice(0, 2))), "two runs with the same noise differ"
    assert (both[1:] - run(slice(1, 2))).abs().max() <= 1e-9, "a row's result depends on its batch mates"
    assert (run(slice(0, 2), 0.5) - both).abs().max() > 1e-6, "moving the latent has no effect"


def check_enhancer(make: Callable[[], Enhancer], steps: int = 20) -> None:
    """Acts on levels of the grid, keeps shape and type, repeats itself, and does not look at batch mates."""
    from odekit.core.grid import make_grid

    prior = GaussianModel()
    levels = make_grid("uniform-t", steps, prior.schedule)
    acting = make().acts_on(levels)
    assert all(0 <= level < steps for level in acting), f"{sorted(acting)} are not all levels of a grid of {steps}"
    for level in acting:
        x = points(2, 8, seed=level) * levels.signal(level) + levels.sigma(level)
        out = make().enhance(x, level, levels, prior, noise(2))
        assert out.shape == x.shape and out.dtype == torch.float64, "states keep shape and type"
        assert torch.isfinite(out).all(), f"level {level} became NaN or infinite"
        assert torch.equal(out, make().enhance(x, level, levels, prior, noise(2))), (
            "two runs with the same noise differ"
        )
        alone = make().enhance(x[1:], level, levels, prior, BatchNoise(noise(2).rows[1:]))
        assert (out[1:] - alone).abs().max() <= 1e-9, "a row's result depends on its batch mates"


def check_upsampler(make: Callable[[], Upsampler], side: int = 16) -> None:
    """Sizes as declared, values in [0, 1], same bytes twice, inputs unchanged, independence of batch mates."""
    upsampler = make()
    draws = np.random.Generator(np.random.Philox(1)).random((3, 3, side, side), dtype=np.float32)
    images = [Image(pixels) for pixels in draws]
    copies = [image.pixels.copy() for image in images]

    def streams() -> list[ImageNoise]:
        return [ImageNoise(stream(0, image.origin, "test")) for image in images]

    out = upsampler.upsample(images, streams())
    assert len(out) == len(images), f"{len(out)} images for {len(images)}"
    spec = upsampler.spec
    expected = spec.side if spec.side is not None else round(side * (spec.scale or 1))
    for image in out:
        size = (image.height, image.width)
        assert size == (expected, expected), f"{size} from {side} px; the spec says {expected}"
        assert image.pixels.min() >= 0 and image.pixels.max() <= 1, "values leave [0, 1]"
    again = upsampler.upsample(images, streams())
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(out, again, strict=True)), "two runs differ"
    assert all(np.array_equal(i.pixels, c) for i, c in zip(images, copies, strict=True)), "the input was changed"
    assert all(a.origin == b.origin for a, b in zip(out, images, strict=True)), (
        "an image lost its origin; use with_pixels"
    )
    alone = upsampler.upsample(images[2:], streams()[2:])[0]
    assert np.abs(alone.pixels - out[2].pixels).max() <= 1e-4, "an image's result depends on its batch mates or place"


class PlainTools(Toolbox):
    """Tools for a part on its own: where and in what precision it runs, and with which prior."""

    def __init__(self, precision: str = "float32", device: str = "cpu", prior: Prior | None = None) -> None:
        super().__init__(catalog(), device, precision, prior)


def synthetic_weights(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Random weights of a network (which may be on the meta device) by rule B of `odekit.testing.goldens`, by name.

    Values keep their size from layer to layer, so that every part of the network is heard in the result.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    return {name: torch.from_numpy(value) for name, value in fill(shapes, seed, "B").items()}


def check_readme(readme: Path) -> None:
    """Every line `odekit run CHAIN ...` of a README names a chain, and with `--set` options that it has."""
    lines = [line.split("  #")[0] for line in readme.read_text("utf-8").splitlines() if line.startswith("odekit run")]
    assert lines, f"{readme}: shows no `odekit run`"
    for line in lines:
        words = shlex.split(line)
        settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        try:
            Chain.load(words[2], settings).plan()
        except OdekitError as error:
            raise AssertionError(f"{readme}: `{line}`: {error}") from error


__all__ = [
    "GaussianField",
    "GaussianModel",
    "PlainTools",
    "TwinField",
    "check_displacement",
    "check_enhancer",
    "check_inverter",
    "check_other_rows",
    "check_readme",
    "check_solver",
    "check_upsampler",
    "log_grid",
    "noise",
    "observed_order",
    "points",
    "psnr",
    "round_trip",
    "synthetic_weights",
    "travel",
]
