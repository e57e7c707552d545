"""`odekit experiment table1`: the paper's Table 1 on your faces, for any methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from odekit.core.files import write_atomic
from odekit.core.options import Part
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.evaluation import tables
from odekit.evaluation.experiments import markdown, sheets
from odekit.evaluation.experiments.methods import MethodSpec, RunSettings, compare_methods, run_methods, with_results
from odekit.evaluation.experiments.setting import ExperimentData, Setting
from odekit.evaluation.results import Printed, Quote, Results

METRICS = "psnr,ssim,swd,ciede2000,sharpness"


def table1(
    setting: Setting, methods: Sequence[MethodSpec], metrics: Mapping[str, Part], settings: RunSettings, out: Path,
    resume: bool, against: str = "",
) -> Results:  # fmt: skip
    """Damage, restore, measure, and write OUT/results.json, rows.csv, table1.csv, table1.md and pictures.png.

    `against` names one of the methods: the others' paired differences from it are measured, too.

    Raises:
        ConfigError: `against` is none of the methods.
        ConfigError: unknown damage or metric, or a folder of another experiment.
        WeightsError: weights of a metric or chain are absent; raised before anything is run.
        Interrupted: stopped; `resume` continues the run.
    """
    names = [one.name for one in methods]
    if against and against not in names:
        raise ConfigError(f"--against: no method is called '{against}'{nearest(against, names)}")
    pairs = [(name, against) for name in names if against and name != against]
    panel, data = run_methods(setting, methods, metrics, settings, out, resume)
    results = compare_methods(
        data, methods, settings, panel=panel, name="table1", title="Table 1 on our faces", quotes=(TABLE1,),
        pairs=pairs,
    )  # fmt: skip
    return finish(data, methods, results)


def finish(data: ExperimentData, methods: Sequence[MethodSpec], results: Results) -> Results:
    """Write the document, the table as CSV and Markdown, and the contact sheet."""
    cases = with_results(data, [one.name for one in methods])
    sheets.contact_sheet(data.out / "pictures.png", cases, results.methods)
    results = replace(results, figures=dict(results.figures) | {"pictures": "pictures.png"})
    write_atomic(tables.summary_csv(results).encode(), data.out / f"{results.name}.csv")
    write_atomic(markdown.page(results).encode(), data.out / f"{results.name}.md")
    results.write(data.out)
    return results


TABLE1 = Quote(
    "ODEdit, Table 1, as printed",
    "On other data than ours: CelebA at 64 px with the paper's own prior (120 M parameters); the test set and the FID "
    "protocol are not given. They serve as orientation and cannot be compared with the rows above.",
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
