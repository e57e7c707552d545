"""`odekit bench synergy`: the paper's Figures 4, 8 and 9. What does ODEdit add to an upsampler, beyond a blur?

Each upsampler has three inputs: the damaged face, the face after ODEdit, and the damaged face after a Gaussian blur of
the same strength. The blur's strength is chosen for each face: after it, the face has the gradient energy (see the
metric `sharpness`) of ODEdit's result. A face that ODEdit made sharper is not blurred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.chains.chain import Chain
from odekit.core.options import Part
from odekit.evaluation.evaluate import opened
from odekit.evaluation.experiments.methods import Contender, How, compared, folder, ready, results_of, run
from odekit.evaluation.experiments.setting import Setting, Stage, prepare
from odekit.evaluation.experiments.table1 import finish
from odekit.evaluation.results import Plot, Results
from odekit.images import io
from odekit.parts.metrics.sharpness import gradient_energy
from odekit.parts.stages.options import Upsample

WIDEST = 16.0
"""Standard deviation of the widest blur, in pixels."""


def synergy(
    setting: Setting, restorer: Contender, upsamplers: Sequence[Contender], metrics: Mapping[str, Part], how: How,
    out: Path, resume: bool,
) -> Results:  # fmt: skip
    """Each upsampler on three inputs. Raises what `table1` raises."""
    panel = opened(metrics, how.device)
    ready([restorer, *upsamplers])
    stage = prepare(out, setting, resume, how.overwrite)
    run(stage, restorer, how)
    blur(stage, restorer)
    entrants, pairs = [restorer], []
    for one in upsamplers:
        after = replace(
            one, name=f"{restorer.name}-{one.name}", label=f"{restorer.label}, then {one.label}",
            source=folder(stage, restorer.name), before=restorer.name,
        )  # fmt: skip
        blunt = replace(one, name=f"blur-{one.name}", label=f"blur, then {one.label}", source=stage.out / "blurred")
        entrants += [one, after, blunt]
        pairs += [(after.name, one.name), (after.name, blunt.name)]
    for one in entrants[1:]:
        run(stage, one, how)
    title = f"Upsamplers alone, after {restorer.label}, and after a blur of the same strength"
    plots = (Plot("psnr", "swd", "", title),) if {"psnr", "swd"} <= set(panel.metrics) else ()
    results = compared(stage, entrants, how, panel=panel, name="synergy", title=title, plots=plots, pairs=pairs)
    return finish(stage, entrants, results)


def upsampler(text: str) -> Contender:
    """An upsampler as a method: `face-x4`, or a YAML mapping. Raises ConfigError with the nearest name."""
    from odekit.chains import document
    from odekit.errors import ConfigError

    raw = document.parse(text, "--upsamplers").data
    name = raw.get("use") if isinstance(raw, dict) else raw
    if not isinstance(name, str):
        raise ConfigError(f"--upsamplers {text}: name upsamplers, with commas between")
    return Contender(name, name, Chain([{"upsample": raw}] if isinstance(raw, dict) else [Upsample(name)], name=name))


def blur(stage: Stage, restorer: Contender) -> None:
    """Write OUT/blurred: every damaged face that has a restored one, blurred to that one's gradient energy."""
    for case in results_of(stage, [restorer.name]):
        target = stage.out / "blurred" / f"{case.name}.png"
        if restorer.name not in case.pictures or target.is_file():
            continue
        damaged, restored = io.read(case.pictures["damaged"]), io.read(case.pictures[restorer.name])
        sigma = matching(damaged.pixels.astype(np.float64), gradient_energy(restored.pixels.astype(np.float64)))
        smooth = blurred(damaged.pixels.astype(np.float64), sigma)
        io.write(damaged.with_pixels(np.clip(smooth, 0, 1).astype(np.float32)), target, format="png")


def matching(pixels: NDArray[np.float64], energy: float) -> float:
    """The standard deviation of the blur after which (3, H, W) has this gradient energy, within 0.5 %.

    0 where it has less already; WIDEST at most.
    """
    if gradient_energy(pixels) <= energy:
        return 0.0
    low, high = 0.0, WIDEST
    for _ in range(40):
        middle = (low + high) / 2
        found = gradient_energy(blurred(pixels, middle))
        if abs(found - energy) <= 0.005 * energy:
            return middle
        low, high = (middle, high) if found > energy else (low, middle)
    return (low + high) / 2


def blurred(pixels: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian blur of each channel, edges mirrored."""
    from scipy.ndimage import gaussian_filter

    if sigma == 0:
        return pixels
    out: NDArray[np.float64] = gaussian_filter(pixels, (0, sigma, sigma), mode="reflect")
    return out
