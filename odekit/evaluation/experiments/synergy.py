"""`odekit experiment synergy`: the paper's Figures 4, 8 and 9, upsamplers after ODEdit and after an equal blur.

Each upsampler gets three inputs: the damaged face, the face after ODEdit, and the damaged face after a Gaussian blur of
the same strength. The blur is chosen for each face so that the face has the gradient energy (see the metric
`sharpness`) of ODEdit's result. A face that ODEdit made sharper is not blurred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.chains.chain import Chain
from odekit.core.options import Part
from odekit.evaluation.experiments.methods import (
    MethodSpec,
    RunSettings,
    compare_methods,
    method_folder,
    open_experiment,
    run_method,
    with_results,
)
from odekit.evaluation.experiments.setting import ExperimentData, Setting
from odekit.evaluation.experiments.table1 import finish
from odekit.evaluation.results import Plot, Results
from odekit.images import io
from odekit.parts.metrics.sharpness import gradient_energy
from odekit.parts.stages.options import Upsample

MAX_BLUR_SIGMA = 16.0
"""Largest standard deviation of the blur, in pixels."""


def synergy(
    setting: Setting, restorer: MethodSpec, upsamplers: Sequence[MethodSpec], metrics: Mapping[str, Part],
    settings: RunSettings, out: Path, resume: bool,
) -> Results:  # fmt: skip
    """Each upsampler on three inputs. Raises the errors of `table1`."""
    panel, data = open_experiment(setting, [restorer, *upsamplers], metrics, settings, out, resume)
    run_method(data, restorer, settings)
    write_blurred(data, restorer)
    methods, pairs = [restorer], []
    for one in upsamplers:
        after = replace(
            one, name=f"{restorer.name}-{one.name}", label=f"{restorer.label}, then {one.label}",
            source=method_folder(data, restorer.name), before=restorer.name,
        )  # fmt: skip
        blurred_first = replace(
            one, name=f"blur-{one.name}", label=f"blur, then {one.label}", source=data.out / "blurred"
        )
        methods += [one, after, blurred_first]
        pairs += [(after.name, one.name), (after.name, blurred_first.name)]
    for one in methods[1:]:
        run_method(data, one, settings)
    title = f"Upsamplers alone, after {restorer.label}, and after a blur of the same strength"
    plots = (Plot("psnr", "swd", "", title),) if {"psnr", "swd"} <= set(panel.metrics) else ()
    results = compare_methods(
        data, methods, settings, panel=panel, name="synergy", title=title, plots=plots, pairs=pairs
    )
    return finish(data, methods, results)


def parse_upsampler(text: str) -> MethodSpec:
    """An upsampler as a method: `face-x4`, or a YAML mapping. Raises ConfigError with the nearest name."""
    from odekit.chains import document
    from odekit.errors import ConfigError

    raw = document.parse_yaml(text, "--upsamplers").data
    name = raw.get("use") if isinstance(raw, dict) else raw
    if not isinstance(name, str):
        raise ConfigError(f"--upsamplers {text}: name upsamplers, separated by commas")
    return MethodSpec(name, name, Chain([{"upsample": raw}] if isinstance(raw, dict) else [Upsample(name)], name=name))


def write_blurred(data: ExperimentData, restorer: MethodSpec) -> None:
    """Write OUT/blurred: every damaged face with a restored one, blurred to the gradient energy of that one."""
    for case in with_results(data, [restorer.name]):
        target = data.out / "blurred" / f"{case.name}.png"
        if restorer.name not in case.pictures or target.is_file():
            continue
        damaged, restored = io.read(case.pictures["damaged"]), io.read(case.pictures[restorer.name])
        sigma = matching_sigma(damaged.pixels.astype(np.float64), gradient_energy(restored.pixels.astype(np.float64)))
        smooth = blurred(damaged.pixels.astype(np.float64), sigma)
        io.write(damaged.with_pixels(np.clip(smooth, 0, 1).astype(np.float32)), target, format="png")


def matching_sigma(pixels: NDArray[np.float64], energy: float) -> float:
    """The standard deviation of the blur after which (3, H, W) has this gradient energy, within 0.5 %.

    0 where the image already has less; at most MAX_BLUR_SIGMA.
    """
    if gradient_energy(pixels) <= energy:
        return 0.0
    low, high = 0.0, MAX_BLUR_SIGMA
    for _ in range(40):
        middle = (low + high) / 2
        current = gradient_energy(blurred(pixels, middle))
        if abs(current - energy) <= 0.005 * energy:
            return middle
        low, high = (middle, high) if current > energy else (low, middle)
    return (low + high) / 2


def blurred(pixels: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian blur of each channel, edges mirrored."""
    from scipy.ndimage import gaussian_filter

    if sigma == 0:
        return pixels
    out: NDArray[np.float64] = gaussian_filter(pixels, (0, sigma, sigma), mode="reflect")
    return out
