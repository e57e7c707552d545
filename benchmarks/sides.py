"""`python -m benchmarks sides`: images of other sizes than the built-in prior's; calls and memory of whole runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.options import AsJson, Plot
from benchmarks.output import print_result
from benchmarks.processes import MAIN, PRINT_PEAK
from benchmarks.table import Goal, Row, Table
from odekit.errors import ConfigError

COLUMNS = {
    "prior": "prior",
    "side": "side, px",
    "steps": "N",
    "calls": "calls, edited",
    "again": "calls, unedited",
    "identical": "unedited: identical in 8 bits",
    "memory": "peak memory, GB",
}
SMALL: dict[str, Any] = {
    "block_out_channels": (8, 8, 16), "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 8,
    "down_block_types": ("DownBlock2D",) * 3, "up_block_types": ("UpBlock2D",) * 3,
}  # fmt: skip
LARGE: dict[str, Any] = {
    "block_out_channels": (128, 128, 256, 256, 512, 512), "layers_per_block": 2, "norm_num_groups": 32,
    "attention_head_dim": None, "downsample_padding": 0, "norm_eps": 1e-6, "flip_sin_to_cos": False, "freq_shift": 1,
    "down_block_types": ("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
}  # fmt: skip
"""The network of google/ddpm-ema-celebahq-256 (arXiv:2006.11239, appendix B): 114 million weights."""


def command(
    side: Annotated[list[int] | None, typer.Option("--side", help="Pixels, a multiple of 32; repeatable.")] = None,
    steps: Annotated[int, typer.Option(min=2, help="Levels of the grid.")] = 6,
    large: Annotated[bool, typer.Option("--large", help="Also a network of 114 million weights at 256 px.")] = False,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """Images of any size: calls, memory and 8-bit identity of whole runs with exact and random-weight priors.

    Example: python -m benchmarks sides --side 64 --side 256
    """
    wrong = [one for one in side or [] if one < 32 or one % 32]
    if wrong:
        raise ConfigError(f"--side {wrong[0]}: a multiple of 32, at least 32")
    print_result(sides(side or [64, 256], steps, large), as_json, plot)


def sides(wanted: Sequence[int], steps: int = 6, large: bool = False) -> Table:
    """A row for each side and prior: one noise image through `odedit-exact`, in a process of its own.

    Args:
        wanted: sides in pixels, multiples of 32.
        steps: levels of the grid.
        large: also measure a network of 114 million random weights, with two levels and without an edit.
    """
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for side in wanted:
            folder = Path(place) / f"small{side}"
            random_network(folder, side, SMALL)
            rows.append(row(Path(place), "exact mixture", f"{{use: mixture, side: {side}}}", side, steps))
            rows.append(row(Path(place), "random network, small", f"{{use: diffusers, path: '{folder}'}}", side, steps))
        if large:
            random_network(Path(place) / "large", 256, LARGE)
            prior = f"{{use: diffusers, path: '{place}/large'}}"
            rows.append(row(Path(place), "random network, 114 million weights", prior, 256, 2, edited=False))
    goals = [
        Goal(f"{one['prior']}, {one['side']} px: unedited and identical", float(one["identical"]), least=1.0)
        for one in rows
    ]
    how = "one picture of noise through odedit-exact, one process each"
    return Table("sides", how, COLUMNS, rows, goals, ("side", ("memory",)))


def row(place: Path, name: str, prior: str, side: int, steps: int, edited: bool = True) -> Row:
    """One run without an enhancer and, where `edited`, one that edits at two levels of the grid."""
    import numpy as np

    from odekit.core.image import Image
    from odekit.images.io import read, write

    pixels = np.random.Generator(np.random.Philox(side)).integers(0, 256, (side, side, 3), dtype=np.uint8)
    face, out = place / f"{side}.png", place / f"{name} {side}"
    write(Image.from_uint8(pixels), face, format="png")
    plain = run(prior, face, out / "plain", steps, "none")
    enhancer = f"{{use: langevin, levels: [0, {steps // 2}], iterations: 2}}"
    summary = run(prior, face, out / "edited", steps, enhancer) if edited else plain
    return {
        "prior": name,
        "side": side,
        "steps": steps,
        "calls": summary["calls_per_image"] if edited else None,
        "again": plain["calls_per_image"],
        "identical": bool((read(out / "plain" / face.name).to_uint8() == pixels).all()),
        "memory": max(summary["peak"], plain["peak"]),
    }


def run(prior: str, face: Path, out: Path, steps: int, enhancer: str) -> dict[str, Any]:
    """The summary of one run in its own process, with its peak memory in GB."""
    settings = [f"priors.face={prior}", f"restore.inverter.steps={steps}", f"restore.enhancer={enhancer}"]
    words = [word for setting in settings for word in ("--set", setting)]
    program = [sys.executable, "-c", f"{PRINT_PEAK}\n{MAIN}", "run", "odedit-exact", str(face), "-o", str(out)]
    finished = subprocess.run([*program, *words, "--json"], check=True, capture_output=True, text=True)
    text, _, peak = finished.stdout.rstrip().rpartition("\n")
    return dict(json.loads(text)) | {"peak": int(peak) / 1e9}


def random_network(folder: Path, side: int, shape: dict[str, Any]) -> None:
    """Write a prior of random weights in the layout of google/ddpm-ema-celebahq-256."""
    import torch
    from diffusers import DDPMScheduler, UNet2DModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        UNet2DModel(sample_size=side, **shape).save_pretrained(folder)
    DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear").save_pretrained(folder)
