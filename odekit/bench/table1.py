"""`odekit bench table1`: the paper's Table 1 on faces of your own, for any methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from odekit.bench import sheet_md, sheets, tables
from odekit.bench.evaluate import opened
from odekit.bench.experiment import Contender, How, compared, ready, results_of, run
from odekit.bench.printed import TABLE1
from odekit.bench.results import Results
from odekit.bench.setting import Setting, Stage, prepare
from odekit.options import Part

METRICS = "psnr,ssim,swd,ciede2000,sharpness"
METHODS = "odedit,sdedit,resize"


def table1(
    setting: Setting, entrants: Sequence[Contender], metrics: Mapping[str, Part], how: How, out: Path, resume: bool
) -> Results:
    """Damage, restore, measure, and write OUT/results.json, rows.csv, table1.csv, table1.md and pictures.png.

    Raises:
        ConfigError: unknown damage or metric, or a folder of another experiment.
        WeightsError: of a metric or chain, before anything is run, with the command that mends it.
        Interrupted: stopped; `resume` goes on.
    """
    panel = opened(metrics, how.device)
    ready(entrants)
    stage = prepare(out, setting, resume, how.overwrite)
    for one in entrants:
        run(stage, one, how)
    results = compared(
        stage, entrants, how, panel=panel, name="table1", title="Table 1 on our faces", quotes=(TABLE1,)
    )  # fmt: skip
    return finish(stage, entrants, results)


def finish(stage: Stage, entrants: Sequence[Contender], results: Results) -> Results:
    """Write the document, the table as CSV and Markdown, and the contact sheet."""
    cases = results_of(stage, [one.name for one in entrants])
    sheets.contact_sheet(stage.out / "pictures.png", cases, results.methods)
    results = replace(results, figures=dict(results.figures) | {"pictures": "pictures.png"})
    tables.write(stage.out / f"{results.name}.csv", tables.summary_csv(results))
    tables.write(stage.out / f"{results.name}.md", sheet_md.page(results))
    results.write(stage.out)
    return results
