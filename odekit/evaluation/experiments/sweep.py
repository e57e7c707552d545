"""`odekit experiment sweep`: options of a chain crossed, and the fidelity and realism of each point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from odekit.core.options import Part
from odekit.errors import ConfigError
from odekit.evaluation.experiments import sheets
from odekit.evaluation.experiments.methods import RunSettings, compare_methods, open_experiment, run_method
from odekit.evaluation.experiments.setting import Setting
from odekit.evaluation.experiments.sweep_file import Sweep
from odekit.evaluation.experiments.table1 import finish
from odekit.evaluation.results import Plot, Results


def sweep(
    what: Sweep, setting: Setting, metrics: Mapping[str, Part], settings: RunSettings, out: Path, resume: bool
) -> Results:
    """Run every point, measure, and write the document, the tables and sweep.png.

    Raises:
        ConfigError: the metrics of the plot are not among `metrics`; and what `table1` raises.
    """
    lacking = [name for name in (what.x, what.y) if name not in metrics]
    if lacking:
        raise ConfigError(f"the plot of '{what.name}' needs the metric {lacking[0]}; add it to --metrics")
    points = list(what.points())
    panel, data = open_experiment(setting, points, metrics, settings, out, resume)
    for one in points:
        run_method(data, one, settings)
    plot = Plot(what.x, what.y, what.lines, what.name)
    title = f"{what.name}: {what.summary}" if what.summary else what.name
    results = compare_methods(data, points, settings, panel=panel, name="sweep", title=title, plots=(plot,))
    sheets.draw(results, plot, out / "sweep.png")
    return finish(data, points, replace(results, figures={"fidelity against realism": "sweep.png"}))
