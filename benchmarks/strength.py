"""`python -m benchmarks strength`: automatic strength against the best fixed settings, chosen with known damage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.options import AsJson, Faces, Keep, Plot, Seed
from benchmarks.output import print_progress, print_result
from benchmarks.quality import MARGINS, PSNR_CAP, mean_swd
from benchmarks.table import Goal, Row, Table
from odekit.evaluation.bootstrap import difference, swd_ratio_upper_bound
from odekit.evaluation.experiments.faces import Pictures, face_set
from odekit.parts.enhancers.calibration import StrengthCalibration, load_calibration
from odekit.training.calibration.meter import combined_gain, describe_faces
from odekit.training.calibration.restored_cases import Cases, RestoredCases, damaged_cases, open_restore, restore_cases

COLUMNS = {
    "arm": "setting",
    "calls": "calls",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "swd": "SWD",
    "clean": "undamaged: worst PSNR, dB",
    "noise": "PSNR where noisy",
    "rest": "PSNR on the rest",
}
NOISY = ("noise", "mask")
Array = NDArray[np.float64]
StrengthNames = Sequence[str]
"""The strength of each image."""


def command(
    data: Faces = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of faces.")] = 128,
    meter: Annotated[Path | None, typer.Option(help="The calibration to evaluate; default: the built-in one.")] = None,
    chain: Annotated[
        str, typer.Option(help="A chain with iterations: auto; everything but its enhancer is used.")
    ] = "odedit-auto",
    keep: Keep = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """iterations: auto against fixed settings that know the damage. `odekit calibrate meter` fits its meter.

    Example: python -m benchmarks strength --limit 24
    """
    # Every strength is decoded first, without the chain's enhancer; the decision is evaluated afterwards.
    _, stage = open_restore(chain, batch_size=8, enhancer="none")
    pictures = face_set(data, stage.prior.shape[1]).test_or_val[:limit]
    cases = damaged_cases(pictures, seed, lambda image: stage.preprocess(image)[0])
    calibration = load_calibration(meter)
    restored = restore_cases(
        cases, stage.inverter, stage.prior, calibration.strengths, seed=seed, keep=keep, progress=print_progress
    )
    how = f"chain {chain}; {describe_faces(pictures, 'test')}"
    print_result(evaluate(cases, restored, calibration, how), as_json, plot)


def evaluate(cases: Cases, restored: RestoredCases, calibration: StrengthCalibration, how: str) -> Table:
    """The table of all settings, with the goals of `auto` against fixed ones.

    The fixed setting of a kind (or of a severity) is the one with the largest mean gain on these very images: better
    than any choice made beforehand.
    """
    names = list(restored.outputs)
    fixed: dict[str, StrengthNames] = {f"fixed: {name}": [name] * len(cases.clean) for name in names}
    best = max(names, key=lambda name: float(gain_or_zero(restored, name).mean()))
    oracle = {
        "best fixed of each severity": best_of_each(restored, cases.severities),
        "best fixed of each kind": best_of_each(restored, cases.kinds),
    }
    auto = [calibration.decide(readings).strength.name for readings in restored.readings]
    rows = [arm_row(name, picks, cases, restored) for name, picks in (fixed | oracle | {"auto": auto}).items()]
    goals = [
        goal
        for name, picks in {f"best single one ({best})": fixed[f"fixed: {best}"], **oracle}.items()
        for goal in no_worse_goals(name, auto, picks, cases, restored)
    ]
    undamaged = [i for i, severity in enumerate(cases.severities) if severity == 0]
    if undamaged:
        worst = float(np.minimum(select(restored.psnr, auto), PSNR_CAP)[undamaged].min())
        goals.append(Goal("undamaged: worst PSNR", worst, least=PSNR_CAP, unit="dB"))
    return Table("strength", how, COLUMNS, rows, goals, ("calls", ("psnr", "ssim", "swd")))


def best_of_each(restored: RestoredCases, groups: Sequence[object]) -> StrengthNames:
    """For each image the strength with the largest mean gain over its group."""
    gains = {name: gain_or_zero(restored, name) for name in restored.outputs}
    chosen = {}
    for group in dict.fromkeys(groups):
        members = [i for i, other in enumerate(groups) if other == group]
        chosen[group] = max(gains, key=lambda name, members=members: float(gains[name][members].mean()))  # type: ignore[misc]
    return [chosen[group] for group in groups]


def arm_row(name: str, picks: StrengthNames, cases: Cases, restored: RestoredCases) -> Row:
    """The row of one setting."""
    psnr = np.minimum(select(restored.psnr, picks), PSNR_CAP)
    noisy = np.array([any(word in kind for word in NOISY) for kind in cases.kinds])
    undamaged = np.array(cases.severities) == 0

    def mean(members: NDArray[np.bool_]) -> float:
        return float(psnr[members].mean()) if members.any() else float("nan")

    return {
        "arm": name,
        "calls": mean_calls(restored, picks),
        "psnr": float(psnr.mean()),
        "ssim": float(select(restored.ssim, picks).mean()),
        "swd": mean_swd(select_pictures(restored, picks), cases.clean),
        "clean": float(psnr[undamaged].min()) if undamaged.any() else float("nan"),
        "noise": mean(noisy),
        "rest": mean(~noisy & ~undamaged),
    }


def no_worse_goals(
    name: str, ours: StrengthNames, theirs: StrengthNames, cases: Cases, restored: RestoredCases
) -> list[Goal]:
    """Ends of paired 95 % bootstrap intervals against the margins, and the difference of calls."""
    psnr, ssim = (
        difference(np.minimum(select(values, ours), PSNR_CAP), np.minimum(select(values, theirs), PSNR_CAP))  # type: ignore[arg-type]
        for values in (restored.psnr, restored.ssim)
    )
    ratio = swd_ratio_upper_bound(select_pictures(restored, ours), select_pictures(restored, theirs), cases.clean)
    return [
        Goal(f"auto - {name}: PSNR, lower end", psnr.low, least=-MARGINS["psnr"], unit="dB"),
        Goal(f"auto - {name}: SSIM, lower end", ssim.low, least=-MARGINS["ssim"]),
        Goal(f"auto / {name}: SWD, upper end", ratio, most=1 + MARGINS["swd"]),
        Goal(f"auto - {name}: calls", mean_calls(restored, ours) - mean_calls(restored, theirs), most=0),
    ]


def mean_calls(restored: RestoredCases, picks: StrengthNames) -> float:
    """Mean network calls of an image."""
    return float(np.mean([restored.calls[pick] for pick in picks]))


def select(values: Mapping[str, Array], picks: StrengthNames) -> Array:
    """The value of each image with its own strength."""
    return np.array([values[name][i] for i, name in enumerate(picks)])


def select_pictures(restored: RestoredCases, picks: StrengthNames) -> Pictures:
    """Each image restored with its own strength."""
    return np.stack([restored.outputs[name][i] for i, name in enumerate(picks)])


def gain_or_zero(restored: RestoredCases, name: str) -> Array:
    """The combined gain of a strength on each image; zero for `none`."""
    return np.zeros(len(restored.readings)) if name == "none" else combined_gain(restored, name)
