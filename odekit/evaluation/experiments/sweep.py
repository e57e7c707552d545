"""`odekit bench sweep`: options of a chain crossed, and how faithful and how believable each point is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from odekit.core.options import Part
from odekit.errors import ConfigError
from odekit.evaluation.evaluate import opened
from odekit.evaluation.experiments import sheets
from odekit.evaluation.experiments.methods import How, compared, ready, run
from odekit.evaluation.experiments.setting import Setting, prepare
from odekit.evaluation.experiments.sweep_file import Sweep
from odekit.evaluation.experiments.table1 import finish
from odekit.evaluation.results import Plot, Results


def sweep(what: Sweep, setting: Setting, metrics: Mapping[str, Part], how: How, out: Path, resume: bool) -> Results:
    """Run every point, measure, and write the document, the tables and sweep.png.

    Raises:
        ConfigError: metrics without those of the plot; and what `table1` raises.
    """
    lacking = [name for name in (what.x, what.y) if name not in metrics]
    if lacking:
        raise ConfigError(f"the plot of '{what.name}' needs the metric {lacking[0]}; add it to --metrics")
    panel = opened(metrics, how.device)
    points = list(what.points())
    ready(points)
    stage = prepare(out, setting, resume, how.overwrite)
    for one in points:
        run(stage, one, how)
    plot = Plot(what.x, what.y, what.lines, what.name)
    title = f"{what.name}: {what.summary}" if what.summary else what.name
    results = compared(stage, points, how, panel=panel, name="sweep", title=title, plots=(plot,))
    sheets.draw(results, plot, out / "sweep.png")
    return finish(stage, points, replace(results, figures={"fidelity against realism": "sweep.png"}))
