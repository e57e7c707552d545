"""`odekit bench tradeoff`: ODEdit against SDEdit at about equal network calls, as in the paper's comparison.

Each has one dial. SDEdit: the level t0 that it jumps to, and how often it is repeated; more noise makes believable
strangers, less keeps the person and the damage. ODEdit: the temperature of its updates; colder is nearer to the
original, hotter nearer to faces. So each setting is one point, and for each of ODEdit's, two of SDEdit's are fair
rivals: the one that is as believable (nearest SWD; who is more faithful?) and the one that is as faithful (nearest
PSNR; who is more believable?).
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
from odekit.evaluation.bootstrap import worse_swd
from odekit.evaluation.evaluate import opened
from odekit.evaluation.experiments import sheets
from odekit.evaluation.experiments.faces import Pictures
from odekit.evaluation.experiments.methods import Contender, How, compared, ready, results_of, run
from odekit.evaluation.experiments.setting import Setting, Stage, prepare
from odekit.evaluation.experiments.table1 import finish
from odekit.evaluation.results import Difference, Plot, Results
from odekit.images import io

CALLS = 600
"""Of a face in ODEdit: 100 up, 100 down, 4 x 100 updates."""
JUMPS = (200, 300, 400, 500, 600, 700)
"""Levels t0."""
TEMPERATURES = (0.75, 1.0)
"""Of ODEdit's updates, beside the default."""
LANGEVIN = {"use": "langevin"}


def ours(temperatures: Sequence[float] = TEMPERATURES, prior: object = "face64") -> list[Contender]:
    """ODEdit's defaults, the same hotter or colder, and as many updates all in the top latent.

    The prior is given as in a chain.

    Raises:
        ConfigError: a temperature below 0, or none that is a number.
    """
    from odekit.parts.enhancers.langevin import Langevin

    plain = Langevin()
    levels, iterations = list(plain.levels or ()), plain.count
    found = [_contender("odedit", "ODEdit", {"enhancer": LANGEVIN}, prior)]
    for value in dict.fromkeys(temperatures):
        if not 0 <= value < math.inf:
            raise ConfigError(f"temperature {value:g}: choose 0 or more")
        if value != plain.temperature:
            options = {"enhancer": LANGEVIN | {"temperature": value}}
            found.append(_contender(f"odedit-{value:g}", f"ODEdit, temperature {value:g}", options, prior))
    top = {"enhancer": LANGEVIN | {"levels": levels[-1:], "iterations": iterations * len(levels)}}
    return [*found, _contender("odedit-top", "ODEdit, top latent alone", top, prior)]


def rivals(jumps: Sequence[int] = JUMPS, calls: int = CALLS, prior: object = "face64") -> list[Contender]:
    """SDEdit at each level, repeated so that its calls come nearest; at a tie, the larger number.

    Raises:
        ConfigError: a level that is no timestep.
    """
    found = []
    for jump in dict.fromkeys(jumps):
        if not 1 <= jump < 1000:
            raise ConfigError(f"t0 {jump}: choose a level from 1 to 999")
        repeats = max(1, int(calls / jump + 0.5))
        options = {"inverter": {"use": "sdedit", "t0": jump}, "enhancer": "none", "repeats": repeats}
        found.append(_contender(f"sdedit-{jump}x{repeats}", f"SDEdit, t0 {jump}, {repeats} x", options, prior))
    return found


def _contender(name: str, label: str, options: Mapping[str, object], prior: object) -> Contender:
    return Contender(name, label, Chain([{"restore": dict(options)}], priors={"face": prior}, name=name))


def tradeoff(
    setting: Setting, mine: Sequence[Contender], theirs: Sequence[Contender], metrics: Mapping[str, Part], how: How,
    out: Path, resume: bool,
) -> Results:  # fmt: skip
    """Run all; the notes of the document say who is ahead of whom.

    Of `mine`, the last (all updates in the top latent) is compared with the first, every other one with `theirs`.

    Raises:
        ConfigError: metrics without PSNR, SSIM and SWD; and what `table1` raises.
    """
    lacking = [name for name in ("psnr", "ssim", "swd") if name not in metrics]
    if lacking:
        raise ConfigError(f"who is ahead is judged by psnr, ssim and swd; add {', '.join(lacking)} to --metrics")
    panel = opened(metrics, how.device)
    entrants = [*mine, *theirs]
    ready(entrants)
    stage = prepare(out, setting, resume, how.overwrite)
    for one in entrants:
        run(stage, one, how)
    dial, top, rivals = [one.name for one in mine[:-1]], mine[-1].name, [one.name for one in theirs]
    pairs = [(dial[0], top), *((one, rival) for one in dial for rival in rivals)]
    plot = Plot("psnr", "swd", "", "Faithful and believable")
    results = compared(
        stage, entrants, how, panel=panel, name="tradeoff", title="ODEdit against SDEdit", plots=(plot,), pairs=pairs
    )
    sheets.draw(results, plot, out / "tradeoff.png")
    said = [line for name in dial for line in verdicts(stage, results, name, rivals)]
    said.append(against(stage, results, dial[0], top))
    results = replace(results, notes=(*said, *results.notes), figures={"faithful and believable": "tradeoff.png"})
    return finish(stage, entrants, results)


def verdicts(stage: Stage, results: Results, name: str, rivals: Sequence[str]) -> list[str]:
    """Two lines: one of ours against the rival of nearest SWD, and against the one of nearest PSNR."""
    whole = {group.method: group.values for group in results.groups if not group.kind}

    def nearest(metric: str) -> str:
        return min(rivals, key=lambda rival: abs(whole[rival][metric].value - whole[name][metric].value))

    believable, faithful = nearest("swd"), nearest("psnr")
    more = [_difference(results, name, believable, metric) for metric in ("psnr", "ssim")]
    ahead = all(one is not None and one.low > 0 for one in more)
    ratio = _worst_ratio(stage, name, faithful)
    return [
        f"{name}, as believable: {believable} (SWD {whole[believable]['swd'].value:.1f}, {name} "
        f"{whole[name]['swd'].value:.1f}). There {name} has {_told(more)}: "
        + ("more of both, at 95 %." if ahead else "not more of both at 95 %."),
        f"{name}, as faithful: {faithful} (PSNR {whole[faithful]['psnr'].value:.2f} dB, {name} "
        f"{whole[name]['psnr'].value:.2f}). The SWD of {name} is {whole[name]['swd'].value:.1f} against "
        f"{whole[faithful]['swd'].value:.1f}, at most {ratio:.2f} times it at 95 %: "
        + ("lower." if ratio < 1 else "not shown to be lower."),
    ]


def against(stage: Stage, results: Results, name: str, other: str) -> str:
    """A line: one of ours against another of ours."""
    also = [_difference(results, name, other, metric) for metric in ("psnr", "ssim")]
    ratio = _worst_ratio(stage, name, other)
    return f"Against {other}, {name} has {_told(also)}, and at most {ratio:.2f} times its SWD, at 95 %."


def _difference(results: Results, method: str, against: str, metric: str) -> Difference | None:
    found = (one for one in results.differences if (one.method, one.against, one.metric) == (method, against, metric))
    return next(found, None)


def _told(some: Sequence[Difference | None]) -> str:
    units = {"psnr": ("PSNR", " dB", 2), "ssim": ("SSIM", "", 3)}
    said = []
    for one in some:
        if one is not None:
            label, unit, digits = units[one.metric]
            said.append(f"{label} {one.value:+.{digits}f}{unit} [{one.low:+.{digits}f}, {one.high:+.{digits}f}]")
    return " and ".join(said)


def _worst_ratio(stage: Stage, method: str, against: str) -> float:
    """The 97.5 % end of our SWD over theirs, over the pictures that both have."""
    both = [case for case in results_of(stage, [method, against]) if {method, against} <= set(case.pictures)]
    made = [_pictures([case.pictures[name] for case in both]) for name in (method, against)]
    return worse_swd(made[0], made[1], _pictures([case.reference for case in both]))


def _pictures(paths: Sequence[str]) -> Pictures:
    return np.stack([io.read(path).to_uint8() for path in paths])
