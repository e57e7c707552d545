"""`odekit bench strength`: automatic strength against the best fixed settings, chosen with knowledge of the damage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Goal, Row, Table
from odekit.evaluation.bootstrap import difference, worse_swd
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.enhancers.calibration import Calibration
from odekit.parts.metrics.swd import repeated
from odekit.training.calibration.meter import worth
from odekit.training.calibration.treated import CEILING, Cases, Treated

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
MARGINS = {"psnr": 0.2, "ssim": 0.01, "swd": 0.05}
"""By how much `auto` may be worse and still count as no worse."""
SWD_DRAWS = 4
"""Of each resample; the figures themselves take the metric's own."""
Picks = Sequence[str]
"""The strength for each picture."""


def judge(cases: Cases, treated: Treated, calibration: Calibration, how: str) -> Table:
    """The table of all settings, with the goals of `auto` against fixed ones.

    The fixed setting of a kind (or of a severity) is the one of the largest mean worth on these very pictures: a better
    guess than anybody could make beforehand.
    """
    names = list(treated.outputs)
    fixed: dict[str, Picks] = {f"fixed: {name}": [name] * len(cases.clean) for name in names}
    best = max(names, key=lambda name: float(_worth(treated, name).mean()))
    known = {
        "best fixed of each severity": known_best(treated, cases.severities),
        "best fixed of each kind": known_best(treated, cases.kinds),
    }
    auto = [calibration.decide(readings).strength.name for readings in treated.readings]
    arms = fixed | known | {"auto": auto}
    rows = [row(name, picks, cases, treated) for name, picks in arms.items()]
    goals = [
        goal
        for name, picks in {f"best single one ({best})": fixed[f"fixed: {best}"], **known}.items()
        for goal in no_worse(name, auto, picks, cases, treated)
    ]
    undamaged = [i for i, severity in enumerate(cases.severities) if severity == 0]
    if undamaged:
        worst = float(np.minimum(picked(treated.psnr, auto), CEILING)[undamaged].min())
        goals.append(Goal("undamaged: worst PSNR", worst, least=CEILING, unit="dB"))
    return Table("strength", how, COLUMNS, rows, goals, ("calls", ("psnr", "ssim", "swd")))


def known_best(treated: Treated, groups: Sequence[object]) -> Picks:
    """For each picture the strength that is best on the mean of its group."""
    table = {name: _worth(treated, name) for name in treated.outputs}
    chosen = {}
    for group in dict.fromkeys(groups):
        here = [i for i, other in enumerate(groups) if other == group]
        chosen[group] = max(table, key=lambda name, here=here: float(table[name][here].mean()))  # type: ignore[misc]
    return [chosen[group] for group in groups]


def row(name: str, picks: Picks, cases: Cases, treated: Treated) -> Row:
    """The figures of one setting."""
    psnr = np.minimum(picked(treated.psnr, picks), CEILING)
    noisy = np.array([any(word in kind for word in NOISY) for kind in cases.kinds])
    undamaged = np.array(cases.severities) == 0

    def mean(which: NDArray[np.bool_]) -> float:
        return float(psnr[which].mean()) if which.any() else float("nan")

    return {
        "arm": name,
        "calls": float(np.mean([treated.calls[pick] for pick in picks])),
        "psnr": float(psnr.mean()),
        "ssim": float(picked(treated.ssim, picks).mean()),
        "swd": distance(pictures(treated, picks), cases.clean),
        "clean": float(psnr[undamaged].min()) if undamaged.any() else float("nan"),
        "noise": mean(noisy),
        "rest": mean(~noisy & ~undamaged),
    }


def no_worse(name: str, ours: Picks, theirs: Picks, cases: Cases, treated: Treated) -> list[Goal]:
    """Ends of paired 95 % bootstrap intervals against the margins, and calls."""
    psnr, ssim = (
        difference(np.minimum(picked(table, ours), CEILING), np.minimum(picked(table, theirs), CEILING))  # type: ignore[arg-type]
        for table in (treated.psnr, treated.ssim)
    )
    mine, other = (float(np.mean([treated.calls[pick] for pick in picks])) for picks in (ours, theirs))
    ratio = worse_swd(pictures(treated, ours), pictures(treated, theirs), cases.clean)
    return [
        Goal(f"auto - {name}: PSNR, lower end", psnr.low, least=-MARGINS["psnr"], unit="dB"),
        Goal(f"auto - {name}: SSIM, lower end", ssim.low, least=-MARGINS["ssim"]),
        Goal(f"auto / {name}: SWD, upper end", ratio, most=1 + MARGINS["swd"]),
        Goal(f"auto - {name}: calls", mine - other, most=0),
    ]


def distance(made: Pictures, clean: Pictures) -> float:
    """SWD of two sets, mean over draws."""
    return float(np.mean([one.mean for one in repeated(made, clean, SWD_DRAWS)]))


def picked(table: Mapping[str, NDArray[np.float64]], picks: Picks) -> NDArray[np.float64]:
    """Each picture's value under its own setting."""
    return np.array([table[name][i] for i, name in enumerate(picks)])


def pictures(treated: Treated, picks: Picks) -> Pictures:
    """Each picture under its own setting."""
    return np.stack([treated.outputs[name][i] for i, name in enumerate(picks)])


def _worth(treated: Treated, name: str) -> NDArray[np.float64]:
    return np.zeros(len(treated.readings)) if name == "none" else worth(treated, name)
