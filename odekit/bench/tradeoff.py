"""`odekit bench tradeoff`: ODEdit against SDEdit at about equal network calls, as in the paper's comparison.

SDEdit has one dial: the level t0 that it jumps to, and how often it is repeated. More noise makes believable strangers,
less keeps the person and the damage. So each setting of it is one point, and two of them are fair rivals: the one that
is as believable as ODEdit (nearest SWD; who is more faithful?) and the one that is as faithful (nearest PSNR; who is
more believable?).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from odekit import io
from odekit.bench import sheets
from odekit.bench.evaluate import opened
from odekit.bench.experiment import Contender, How, compared, ready, results_of, run
from odekit.bench.faces import Pictures
from odekit.bench.results import Difference, Plot, Results
from odekit.bench.setting import Setting, Stage, prepare
from odekit.bench.strength import worse_swd
from odekit.bench.table1 import finish
from odekit.chain import Chain
from odekit.errors import ConfigError
from odekit.options import Part

CALLS = 600
"""Of a face in ODEdit: 100 up, 100 down, 4 x 100 updates."""
JUMPS = (200, 300, 400, 500, 600, 700)
"""Levels t0."""
LANGEVIN = {"use": "langevin"}


def ours(prior: object = "face64") -> list[Contender]:
    """ODEdit's defaults, and the same number of updates all in the top latent. The prior is given as in a chain."""
    from odekit.enhancers.langevin import Langevin

    plain = Langevin()
    levels, iterations = list(plain.levels or ()), plain.count
    top = {"enhancer": LANGEVIN | {"levels": levels[-1:], "iterations": iterations * len(levels)}}
    return [
        _contender("odedit-four", "ODEdit, four latents", {"enhancer": LANGEVIN}, prior),
        _contender("odedit-top", "ODEdit, top latent alone", top, prior),
    ]


def rivals(jumps: Sequence[int] = JUMPS, calls: int = CALLS, prior: object = "face64") -> list[Contender]:
    """SDEdit at each level, repeated so that its calls come nearest; at a tie, the larger number.

    Raises:
        ConfigError: a level that is no timestep.
    """
    found = []
    for jump in jumps:
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
    """Run all; the notes of the document say who is ahead of whom. The first of `mine` is the one that is compared.

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
    first = mine[0].name
    pairs = [(first, one.name) for one in entrants[1:]]
    plot = Plot("psnr", "swd", "", "Faithful and believable")
    results = compared(
        stage, entrants, how, panel=panel, name="tradeoff", title="ODEdit against SDEdit", plots=(plot,), pairs=pairs
    )
    sheets.draw(results, plot, out / "tradeoff.png")
    said = verdicts(stage, results, first, [one.name for one in theirs], [one.name for one in mine[1:]])
    results = replace(results, notes=(*said, *results.notes), figures={"faithful and believable": "tradeoff.png"})
    return finish(stage, entrants, results)


def verdicts(stage: Stage, results: Results, first: str, theirs: Sequence[str], others: Sequence[str]) -> list[str]:
    """Lines: against the rival of nearest SWD, the one of nearest PSNR, and our own other settings."""
    whole = {group.method: group.values for group in results.groups if not group.kind}

    def nearest(metric: str) -> str:
        return min(theirs, key=lambda name: abs(whole[name][metric].value - whole[first][metric].value))

    believable, faithful = nearest("swd"), nearest("psnr")
    more = [_difference(results, first, believable, metric) for metric in ("psnr", "ssim")]
    ahead = all(one is not None and one.low > 0 for one in more)
    ratio = _worst_ratio(stage, first, faithful)
    lines = [
        f"As believable: {believable} (SWD {whole[believable]['swd'].value:.1f}, {first} "
        f"{whole[first]['swd'].value:.1f}). There {first} has {_told(more)}: "
        + ("more of both, at 95 %." if ahead else "not more of both at 95 %."),
        f"As faithful: {faithful} (PSNR {whole[faithful]['psnr'].value:.2f} dB, {first} "
        f"{whole[first]['psnr'].value:.2f}). The SWD of {first} is {whole[first]['swd'].value:.1f} against "
        f"{whole[faithful]['swd'].value:.1f}, at most {ratio:.2f} times it at 95 %: "
        + ("lower." if ratio < 1 else "not shown to be lower."),
    ]
    for name in others:
        also = [_difference(results, first, name, metric) for metric in ("psnr", "ssim")]
        there = _worst_ratio(stage, first, name)
        lines.append(f"Against {name}, {first} has {_told(also)}, and at most {there:.2f} times its SWD, at 95 %.")
    return lines


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
