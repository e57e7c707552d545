"""Conformance checks of parts, for plugin authors to call in their own tests.

```python
from odekit.testing import check_solver, check_upsampler

def test_solver(): check_solver(lambda: MySolver(MyOptions()))
def test_upsampler(): check_upsampler(lambda: MyUpsampler(MyOptions()))
```

Each check raises AssertionError with the expected and the measured value, and returns the measured values.
`odekit check --conformance solver:my-solver` runs them on a registered part (see `odekit.testing.registered`).
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from odekit.chains.chain import Chain
from odekit.chains.tools import PartTools
from odekit.core.image import Image
from odekit.core.interfaces import Enhancer, Inverter, Prior, Solver, Upsampler
from odekit.core.noise import BatchNoise, ImageNoise, noise_generator
from odekit.core.psnr import psnr
from odekit.errors import OdekitError
from odekit.parts import builtin
from odekit.parts.installed import catalog
from odekit.plugins.catalog import Catalog
from odekit.plugins.discovery import build
from odekit.testing.exact import GaussianField, GaussianModel, MixtureField, log_grid, random_states, round_trip, solve
from odekit.testing.goldens import synthetic_arrays
from odekit.testing.kinds import (
    Figures,
    check_corruption,
    check_detector,
    check_mask,
    check_metric,
    check_prior,
    check_stage,
)
from odekit.testing.order import observed_order
from odekit.testing.plugin import check_plugin


def check_solver(make: Callable[[], Solver], tolerance: float = 0.15) -> Figures:
    """Check a solver in both directions, and return the measured values.

    Order and network calls are as declared; the round trip is accurate (at least 190 dB if reversible, else 20 dB); an
    edit has the right effect; results are deterministic and independent of other rows.
    """
    solver, figures = make(), Figures()
    adaptive = math.isnan(solver.nfe_per_step)
    if not adaptive:
        for down in (False, True):
            order = observed_order(make, down)
            direction = "down" if down else "up"
            task = "decoding" if down else "inversion"
            assert abs(order - solver.order) <= tolerance, (
                f"order {order:.2f} measured in {task}, {solver.order} declared"
            )
            figures[f"order going {direction}"] = order
        field = GaussianField()
        solve(solver, field, random_states(), log_grid(32))
        assert field.calls == round(32 * solver.nfe_per_step), (
            f"{field.calls} calls in 32 steps; {solver.nfe_per_step} per step is declared"
        )
        figures["network calls per step"] = solver.nfe_per_step
    y, rhos = random_states(), log_grid(64)
    back = psnr(round_trip(make(), GaussianField(lossy=True), y, rhos), y, peak=2.0)
    least = 190.0 if solver.reversible else 20.0
    assert back >= least, f"round trip of {back:.1f} dB, at least {least:.0f} expected"
    figures["round trip, dB"] = back
    figures["response to an edit, dB"] = check_displacement(make)
    check_row_independence(make)
    field = GaussianField()
    first, second = (solve(make(), field, y, rhos) for _ in range(2))
    assert torch.equal(first, second), "two runs on the same input differ"
    alone = torch.cat([solve(make(), field, row[None], rhos) for row in y])
    assert (alone - first).abs().max() <= 1e-12, "the result of a row depends on the other rows of the batch"
    return figures


def check_displacement(make: Callable[[], Solver], least: float = 35.0) -> float:
    """Compare the response to an edit (0.02 RMS at mid level) with that of the exact ODE; return the PSNR in dB."""
    field, y = GaussianField(), random_states()
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
    response = psnr(ends[1] - ends[0], exact, peak=2.0)
    assert response >= least, (
        f"the response to an edit differs from the exact one: PSNR {response:.1f} dB, at least {least:.0f} expected"
    )
    return response


def check_row_independence(make: Callable[[], Solver]) -> None:
    """Check that an edit of one row (for example by clipping) leaves the bytes of all other rows unchanged."""
    y, rhos = random_states(), log_grid(32)
    delta = torch.zeros_like(y)
    delta[1] = 0.1

    def run(edit_at: int | None) -> Tensor:
        solver, field = make(), GaussianField()
        carry = solver.start(field, y, rhos[0])
        for rho in rhos[1:]:
            carry = solver.step(field, carry, rho)
        carry = solver.turn(carry)
        for i in range(32, 0, -1):
            carry = solver.displace(carry, delta) if i == edit_at else carry
            carry = solver.step(field, carry, rhos[i - 1])
        end: Tensor = carry.y
        return end

    unedited = run(None)
    for edit_at in (32, 20, 1):
        edited = run(edit_at)
        assert not torch.equal(edited[1], unedited[1]), f"an edit {32 - edit_at} steps below the top has no effect"
        for row in (0, 2):
            assert torch.equal(edited[row], unedited[row]), (
                f"an edit of another row, {32 - edit_at} steps below the top, changes the bytes of one without edit"
            )


def batch_noise(rows: int, seed: int = 0) -> BatchNoise:
    """Noise of a batch: one keyed stream per row."""
    return BatchNoise([ImageNoise(noise_generator(seed, f"row {i}", "test")) for i in range(rows)])


def check_inverter(make: Callable[[Prior], Inverter], side: int = 8) -> Figures:
    """Check an inverter: shapes, levels and `moved`; results are deterministic and independent of other rows.

    The global random generators must not be used. Returns the measured values.
    """
    prior = GaussianModel(side)
    clean = random_states(2, side).clamp(-1, 1)

    def run(rows: slice, shift: float = 0.0) -> Tensor:
        inverter, rng = make(prior), BatchNoise(batch_noise(2).rows[rows])
        latent = inverter.invert(clean[rows], rng)
        assert latent.level == len(inverter.levels) - 1, (
            f"inversion ends at level {latent.level}; the last of {len(inverter.levels)} levels is required"
        )
        if shift:
            latent = inverter.moved(latent, latent.x + shift)
        while latent.level >= 0:
            before = latent.level
            latent = inverter.descend(latent, rng)
            assert latent.level == before - 1, f"descend went from level {before} to {latent.level}"
        assert latent.x.shape == clean[rows].shape and latent.x.dtype == torch.float64, (
            "states must be float64 and have the shape of the input"
        )
        return latent.x

    state = torch.get_rng_state()
    both = run(slice(0, 2))
    assert torch.equal(torch.get_rng_state(), state), "torch's global generator was used"
    assert torch.equal(both, run(slice(0, 2))), "two runs with the same noise differ"
    assert (both[1:] - run(slice(1, 2))).abs().max() <= 1e-9, (
        "the result of a row depends on the other rows of the batch"
    )
    change = run(slice(0, 2), 0.5) - both
    assert change.abs().max() > 1e-6, "moving the latent has no effect"
    response = float(change.pow(2).mean().sqrt())
    return {"round trip, dB": psnr(both, clean, peak=2.0), "response to an edit of 0.5, RMS": response}


def check_enhancer(make: Callable[[], Enhancer], steps: int = 20) -> Figures:
    """Check an enhancer: it acts on levels of the grid, and keeps shape and type; results are deterministic and
    independent of other rows. Returns the measured values.
    """
    from odekit.core.grid import make_grid

    prior = GaussianModel()
    levels = make_grid("uniform-t", steps, prior.schedule)
    acting = make().acts_on(levels)
    assert all(0 <= level < steps for level in acting), f"{sorted(acting)} are not all levels of a grid of {steps}"
    change = 0.0
    for level in acting:
        x = random_states(2, 8, seed=level) * levels.signal(level) + levels.sigma(level)
        out = make().enhance(x, level, levels, prior, batch_noise(2))
        assert out.shape == x.shape and out.dtype == torch.float64, "states must keep their shape and type"
        assert torch.isfinite(out).all(), f"the result at level {level} is not finite"
        assert torch.equal(out, make().enhance(x, level, levels, prior, batch_noise(2))), (
            "two runs with the same noise differ"
        )
        alone = make().enhance(x[1:], level, levels, prior, BatchNoise(batch_noise(2).rows[1:]))
        assert (out[1:] - alone).abs().max() <= 1e-9, "the result of a row depends on the other rows of the batch"
        change = max(change, float((out - x).pow(2).mean().sqrt()))
    return {f"levels acted on, of {steps}": float(len(acting)), "largest change, RMS": change}


def check_upsampler(make: Callable[[], Upsampler], side: int = 16) -> Figures:
    """Check an upsampler: sizes are as declared, values are in [0, 1], and inputs are unchanged; results are
    deterministic and independent of other rows. Returns the measured values.

    A wide picture is checked too, unless the upsampler accepts aligned faces only.
    """
    upsampler = make()
    draws = np.random.Generator(np.random.Philox(1)).random((3, 3, side, side), dtype=np.float32)
    images = [Image(pixels) for pixels in draws]
    copies = [image.pixels.copy() for image in images]

    def streams() -> list[ImageNoise]:
        return [ImageNoise(noise_generator(0, image.origin, "test")) for image in images]

    out = upsampler.upsample(images, streams())
    assert len(out) == len(images), f"{len(images)} images have {len(out)} results"
    spec = upsampler.spec
    expected = spec.side if spec.side is not None else round(side * (spec.scale or 1))
    if spec.guided and spec.side is None and spec.scale is None:  # the size follows the original
        expected = out[0].height
    for image in out:
        size = (image.height, image.width)
        assert size == (expected, expected), f"{side} px become {size}; the spec declares {expected}"
        assert image.pixels.min() >= 0 and image.pixels.max() <= 1, "values are outside [0, 1]"
    second = upsampler.upsample(images, streams())
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(out, second, strict=True)), "two runs differ"
    assert all(np.array_equal(i.pixels, c) for i, c in zip(images, copies, strict=True)), "the input was modified"
    assert all(a.origin == b.origin for a, b in zip(out, images, strict=True)), (
        "an image lost its origin; use with_pixels"
    )
    alone = upsampler.upsample(images[2:], streams()[2:])[0]
    difference = float(np.abs(alone.pixels - out[2].pixels).max())
    assert difference <= 1e-4, "the result of an image depends on the other images of the batch or on its position"
    if spec.scale is not None and not spec.aligned_faces_only:
        wide = images[0].with_pixels(np.concatenate([images[0].pixels, images[1].pixels], axis=2))
        big = upsampler.upsample([wide], streams()[:1])[0]
        size, expected_size = (big.height, big.width), (round(side * spec.scale), round(2 * side * spec.scale))
        assert size == expected_size, f"{size} from {side} x {2 * side} px, {expected_size} expected"
    return {f"output side of {side} px": float(expected), "largest difference without batch mates": difference}


def catalog_with(dist: str, plugin: ModuleType) -> Catalog:
    """A catalogue of the built-in parts and those of a plugin (installed or not), for the `parts` argument of `Chain`.

    Raises:
        AssertionError: the plugin cannot be registered.
    """
    extended, _ = build([("odekit", builtin), (dist, plugin)])
    assert not extended.broken, f"{dist} cannot be registered: {extended.broken[dist]}"
    return extended


class StandaloneTools(PartTools):
    """Tools for a single part without a chain: precision, device, and an optional prior."""

    def __init__(self, precision: str = "float32", device: str = "cpu", prior: Prior | None = None) -> None:
        super().__init__(catalog(), device, precision, prior)


def synthetic_weights(network: nn.Module, seed: int = 0, rule: str = "B") -> dict[str, Tensor]:
    """Random weights by tensor name, by a rule of `odekit.testing.fill`; `network` may be on the meta device.

    Activations keep their magnitude from layer to layer, so that every layer influences the output (rule E for
    networks that divide their weights by sqrt(fan_in)).
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    return {name: torch.from_numpy(value) for name, value in synthetic_arrays(shapes, seed, rule).items()}


def check_readme(readme: Path, parts: Catalog | None = None) -> None:
    """Check that each line `odekit run CHAIN ...` of a README names an existing chain, and its options with `--set`.

    `parts`: the catalogue; the installed one if None.
    """
    lines = [line.split("  #")[0] for line in readme.read_text("utf-8").splitlines() if line.startswith("odekit run")]
    assert lines, f"{readme}: contains no `odekit run`"
    for line in lines:
        words = shlex.split(line)
        settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        try:
            Chain.load(words[2], settings, parts).plan()
        except OdekitError as error:
            raise AssertionError(f"{readme}: `{line}`: {error}") from error


__all__ = [
    "Figures",
    "GaussianField",
    "GaussianModel",
    "MixtureField",
    "StandaloneTools",
    "batch_noise",
    "catalog_with",
    "check_corruption",
    "check_detector",
    "check_displacement",
    "check_enhancer",
    "check_inverter",
    "check_mask",
    "check_metric",
    "check_plugin",
    "check_prior",
    "check_readme",
    "check_row_independence",
    "check_solver",
    "check_stage",
    "check_upsampler",
    "log_grid",
    "observed_order",
    "psnr",
    "random_states",
    "round_trip",
    "solve",
    "synthetic_weights",
]
