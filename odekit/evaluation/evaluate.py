"""`odekit eval`: compares a folder of restored images with the clean ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from odekit.core.files import write_atomic
from odekit.core.options import Part
from odekit.evaluation import panel as panels
from odekit.evaluation import tables
from odekit.evaluation.compare import compare
from odekit.evaluation.pairing import pair
from odekit.evaluation.panel import Panel
from odekit.evaluation.results import Method, Results
from odekit.parts.installed import catalog


def evaluate(
    restored: Path,
    reference: Path,
    damaged: Path | None = None,
    manifest: Path | None = None,
    metrics: str = "",
    out: Path | None = None,
    fit: bool = False,
    seed: int = 0,
    processes: int | None = None,
    device: str = "auto",
    command: str = "",
) -> Results:
    """Measure; with `out`, write results.json, rows.csv and summary.csv there.

    Raises:
        ConfigError: unknown metric, nothing to compare, or a folder that cannot be written.
        InputError: a manifest that cannot be read.
        WeightsError: a metric whose weights are absent, with the command that gets them.
    """
    panel = open_panel(panels.choose(metrics or panels.default_metrics()), device)
    pairing = pair(restored, reference, damaged, manifest)
    methods = [Method("restored", "restored")]
    if damaged is not None:
        methods.insert(0, Method("damaged", "damaged", "damaged"))
    results = compare(
        pairing.cases, methods, panel, name="eval", title=f"{restored} against {reference}",
        description=f"{len(pairing.cases)} pictures of {restored} against {reference}", out=out, command=command,
        baseline="damaged" if damaged is not None else "", seed=seed, processes=processes, fit=fit,
        problems=pairing.problems,
    )  # fmt: skip
    if out is not None:
        save(results, out)
    return results


def open_panel(parts: Mapping[str, Part], device: str = "auto") -> Panel:
    """The metrics, ready to use. Metrics that need no device are created without loading torch."""
    if set(parts) <= WITHOUT_NETWORK:
        return panels.make(parts, None)
    from odekit.chains.tools import PartTools
    from odekit.core.device import resolve_device

    return panels.make(parts, PartTools(catalog(), resolve_device(device), "float32"))


WITHOUT_NETWORK = frozenset({"psnr", "ssim", "ciede2000", "sharpness", "swd", "fd-pca"})
"""Metrics without a network."""


def save(results: Results, out: Path) -> None:
    """Write the document, and the summary as CSV."""
    write_atomic(tables.summary_csv(results).encode(), out / "summary.csv")
    results.write(out)
