"""`odekit experiment sweep`: options of a chain crossed, and the fidelity and realism of each point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from odekit.core.options import Part
from odekit.errors import ConfigError
from odekit.evaluation.experiments import sheets
from odekit.evaluation.experiments.methods import RunSettings, compare_methods, run_methods
from odekit.evaluation.experiments.setting import Setting
from odekit.evaluation.experiments.sweep_file import Sweep
from odekit.evaluation.experiments.table1 import finish
from odekit.evaluation.results import Plot, Results


def sweep(
    plan: Sweep, setting: Setting, metrics: Mapping[str, Part], settings: RunSettings, out: Path, resume: bool
) -> Results:
    """Run every point, measure, and write the document, the tables and sweep.png.

    Raises:
        ConfigError: the metrics of the plot are not among `metrics`; and the errors of `table1`.
    """
    missing = [name for name in (plan.x, plan.y) if name not in metrics]
    if missing:
        raise ConfigError(f"the plot of '{plan.name}' needs the metric {missing[0]}; add it to --metrics")
    points = list(plan.points())
    panel, data = run_methods(setting, points, metrics, settings, out, resume)
    plot = Plot(plan.x, plan.y, plan.lines, plan.name)
    title = f"{plan.name}: {plan.summary}" if plan.summary else plan.name
    results = compare_methods(data, points, settings, panel=panel, name="sweep", title=title, plots=(plot,))
    sheets.draw(results, plot, out / "sweep.png")
    return finish(data, points, replace(results, figures={"fidelity against realism": "sweep.png"}))
