"""`odekit experiment tradeoff`: ODEdit against SDEdit at about equal network calls, as in the paper's comparison.

The varied option of SDEdit is the start level t0, with as many repeats as bring its calls nearest: more noise gives
realistic faces of other people, less keeps the person and the damage. That of ODEdit is the temperature of its updates:
low temperatures are more faithful, high ones more realistic. Each setting of ODEdit is compared with two settings of
SDEdit: the one of nearest SWD (which is more faithful?) and the one of nearest PSNR (which is more realistic?).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from odekit.chains.chain import Chain
from odekit.core.options import Part
from odekit.errors import ConfigError
from odekit.evaluation.bootstrap import swd_ratio_upper_bound
from odekit.evaluation.experiments import sheets
from odekit.evaluation.experiments.faces import Pictures
from odekit.evaluation.experiments.methods import MethodSpec, RunSettings, compare_methods, run_methods, with_results
from odekit.evaluation.experiments.setting import ExperimentData, Setting
from odekit.evaluation.experiments.table1 import finish
from odekit.evaluation.results import Difference, Plot, Results
from odekit.images import io

CALLS = 600
"""Network calls of ODEdit for a face: 100 for inversion, 100 for decoding, 4 x 100 updates."""
START_LEVELS = (200, 300, 400, 500, 600, 700)
"""Levels t0 of SDEdit."""
TEMPERATURES = (0.75, 1.0)
"""Temperatures of ODEdit's updates, beside the default."""
LANGEVIN = {"use": "langevin"}


def odedit_methods(temperatures: Sequence[float] = TEMPERATURES, prior: object = "face64") -> list[MethodSpec]:
    """ODEdit with its defaults, at other temperatures, and with as many updates in the top latent alone.

    The prior is given as in a chain.

    Raises:
        ConfigError: a temperature below 0 or NaN.
    """
    from odekit.parts.enhancers.langevin import Langevin

    plain = Langevin()
    levels, iterations = list(plain.levels or ()), plain.count
    methods = [_method("odedit", "ODEdit", {"enhancer": LANGEVIN}, prior)]
    for value in dict.fromkeys(temperatures):
        if not 0 <= value < math.inf:
            raise ConfigError(f"temperature {value:g}: choose 0 or more")
        if value != plain.temperature:
            options = {"enhancer": LANGEVIN | {"temperature": value}}
            methods.append(_method(f"odedit-{value:g}", f"ODEdit, temperature {value:g}", options, prior))
    top = {"enhancer": LANGEVIN | {"levels": levels[-1:], "iterations": iterations * len(levels)}}
    return [*methods, _method("odedit-top", "ODEdit, top latent alone", top, prior)]


def sdedit_methods(
    levels: Sequence[int] = START_LEVELS, calls: int = CALLS, prior: object = "face64"
) -> list[MethodSpec]:
    """SDEdit from each level, repeated so that its calls are nearest to `calls`; in a tie, the larger number.

    Raises:
        ConfigError: a level that is not a timestep.
    """
    methods = []
    for level in dict.fromkeys(levels):
        if not 1 <= level < 1000:
            raise ConfigError(f"t0 {level}: choose a level from 1 to 999")
        repeats = max(1, int(calls / level + 0.5))
        options = {"inverter": {"use": "sdedit", "t0": level}, "enhancer": "none", "repeats": repeats}
        methods.append(_method(f"sdedit-{level}x{repeats}", f"SDEdit, t0 {level}, {repeats} x", options, prior))
    return methods


def _method(name: str, label: str, options: Mapping[str, object], prior: object) -> MethodSpec:
    return MethodSpec(name, label, Chain([{"restore": dict(options)}], priors={"face": prior}, name=name))


def tradeoff(
    setting: Setting, odedit: Sequence[MethodSpec], sdedit: Sequence[MethodSpec], metrics: Mapping[str, Part],
    settings: RunSettings, out: Path, resume: bool,
) -> Results:  # fmt: skip
    """Run all methods; the notes of the document state which of them is better.

    The last of `odedit` (all updates in the top latent) is compared with the first, every other one with `sdedit`.

    Raises:
        ConfigError: metrics without PSNR, SSIM and SWD; and the errors of `table1`.
    """
    missing = [name for name in ("psnr", "ssim", "swd") if name not in metrics]
    if missing:
        raise ConfigError(f"the comparison needs psnr, ssim and swd; add {', '.join(missing)} to --metrics")
    methods = [*odedit, *sdedit]
    panel, data = run_methods(setting, methods, metrics, settings, out, resume)
    varied, top, competitors = [one.name for one in odedit[:-1]], odedit[-1].name, [one.name for one in sdedit]
    pairs = [(varied[0], top), *((one, competitor) for one in varied for competitor in competitors)]
    plot = Plot("psnr", "swd", "", "Fidelity and realism")
    results = compare_methods(
        data, methods, settings, panel=panel, name="tradeoff", title="ODEdit against SDEdit", plots=(plot,),
        pairs=pairs,
    )  # fmt: skip
    sheets.draw(results, plot, out / "tradeoff.png")
    notes = [line for name in varied for line in competitor_notes(data, results, name, competitors)]
    notes.append(top_note(data, results, varied[0], top))
    results = replace(results, notes=(*notes, *results.notes), figures={"PSNR and SWD of all settings": "tradeoff.png"})
    return finish(data, methods, results)


def competitor_notes(data: ExperimentData, results: Results, name: str, competitors: Sequence[str]) -> list[str]:
    """Two lines: a setting of ODEdit against the setting of SDEdit of nearest SWD, and against that of nearest PSNR."""
    whole = {group.method: group.values for group in results.groups if not group.kind}

    def nearest(metric: str) -> str:
        return min(competitors, key=lambda competitor: abs(whole[competitor][metric].value - whole[name][metric].value))

    equal_swd, equal_psnr = nearest("swd"), nearest("psnr")
    gains = [_difference(results, name, equal_swd, metric) for metric in ("psnr", "ssim")]
    better = all(one is not None and one.low > 0 for one in gains)
    ratio = _largest_ratio(data, name, equal_psnr)
    return [
        f"{name}, SDEdit setting of nearest SWD: {equal_swd} (SWD {whole[equal_swd]['swd'].value:.1f}, {name} "
        f"{whole[name]['swd'].value:.1f}). {name} has {_differences_text(gains)}: "
        + ("both higher at 95 %." if better else "not both higher at 95 %."),
        f"{name}, SDEdit setting of nearest PSNR: {equal_psnr} (PSNR {whole[equal_psnr]['psnr'].value:.2f} dB, {name} "
        f"{whole[name]['psnr'].value:.2f}). The SWD of {name} is {whole[name]['swd'].value:.1f} against "
        f"{whole[equal_psnr]['swd'].value:.1f}, a ratio of at most {ratio:.2f} at 95 %: "
        + ("lower." if ratio < 1 else "not shown to be lower."),
    ]


def top_note(data: ExperimentData, results: Results, name: str, top: str) -> str:
    """A line: a setting of ODEdit against the one with all updates in the top latent."""
    gains = [_difference(results, name, top, metric) for metric in ("psnr", "ssim")]
    ratio = _largest_ratio(data, name, top)
    return f"Against {top}, {name} has {_differences_text(gains)}, and an SWD ratio of at most {ratio:.2f}, at 95 %."


def _difference(results: Results, method: str, against: str, metric: str) -> Difference | None:
    key = (method, against, metric)
    return next((one for one in results.differences if (one.method, one.against, one.metric) == key), None)


def _differences_text(differences: Sequence[Difference | None]) -> str:
    units = {"psnr": ("PSNR", " dB", 2), "ssim": ("SSIM", "", 3)}
    parts = []
    for one in differences:
        if one is not None:
            label, unit, digits = units[one.metric]
            parts.append(f"{label} {one.value:+.{digits}f}{unit} [{one.low:+.{digits}f}, {one.high:+.{digits}f}]")
    return " and ".join(parts)


def _largest_ratio(data: ExperimentData, method: str, against: str) -> float:
    """The 97.5 % quantile of the ratio of SWDs, over the images that both methods have."""
    both = [case for case in with_results(data, [method, against]) if {method, against} <= set(case.pictures)]
    restored = [_pictures([case.pictures[name] for case in both]) for name in (method, against)]
    return swd_ratio_upper_bound(restored[0], restored[1], _pictures([case.reference for case in both]))


def _pictures(paths: Sequence[str]) -> Pictures:
    return np.stack([io.read(path).to_uint8() for path in paths])
