"""`odekit bench table1`: the paper's Table 1 on faces of your own, for any methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from odekit.core.options import Part
from odekit.evaluation import tables
from odekit.evaluation.evaluate import opened
from odekit.evaluation.experiments import markdown, sheets
from odekit.evaluation.experiments.methods import Contender, How, compared, ready, results_of, run
from odekit.evaluation.experiments.setting import Setting, Stage, prepare
from odekit.evaluation.results import Printed, Quote, Results

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
    tables.write(stage.out / f"{results.name}.md", markdown.page(results))
    results.write(stage.out)
    return results


TABLE1 = Quote(
    "ODEdit, Table 1, as printed",
    "On other data than ours: CelebA at 64 px with the paper's own prior (120 M parameters), whose test set and FID "
    "protocol are not given. They are here for orientation and cannot be compared with the rows above.",
    tuple(
        Printed(name, {"lpips": lpips, "ssim": ssim, "psnr": psnr, "fid": fid})
        for name, lpips, ssim, psnr, fid in (
            ("Source (damaged)", 0.34, 0.56, 18.01, 83.02),
            ("GFPGAN", 0.25, 0.61, 18.41, 116.76),
            ("DiffBIR", 0.28, 0.61, 18.68, 172.64),
            ("CodeFormer", 0.26, 0.62, 18.53, 157.38),
            ("SDEdit", 0.30, 0.52, 16.03, 45.85),
            ("ODEdit", 0.24, 0.60, 17.8, 33.81),
        )
    ),
)
