"""`odekit bench sides`: pictures of other sizes than the built-in prior's, with calls and memory of whole runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import MAIN, peak_report
from benchmarks.table import Goal, Row, Table

COLUMNS = {
    "prior": "prior",
    "side": "side, px",
    "steps": "N",
    "calls": "calls, edited",
    "again": "calls, left alone",
    "identical": "left alone: identical in 8 bits",
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


def sides(wanted: Sequence[int], steps: int = 6, large: bool = False) -> Table:
    """A row for each side and prior: one picture of noise through `odedit-exact`, in a process of its own.

    Args:
        wanted: sides in pixels, multiples of 32.
        steps: levels of the grid.
        large: measure a network of 114 million random weights too, with two levels and nothing edited.
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
        Goal(f"{one['prior']}, {one['side']} px: left alone and identical", float(one["identical"]), least=1.0)
        for one in rows
    ]
    how = "one picture of noise through odedit-exact, one process each"
    return Table("sides", how, COLUMNS, rows, goals, ("side", ("memory",)))


def row(place: Path, name: str, prior: str, side: int, steps: int, edited: bool = True) -> Row:
    """Restored at two levels of the grid (where `edited`), and left alone."""
    import numpy as np

    from odekit.core.image import Image
    from odekit.images.io import read, write

    pixels = np.random.Generator(np.random.Philox(side)).integers(0, 256, (side, side, 3), dtype=np.uint8)
    face, out = place / f"{side}.png", place / f"{name} {side}"
    write(Image.from_uint8(pixels), face, format="png")
    alone = process(prior, face, out / "alone", steps, "none")
    enhancer = f"{{use: langevin, levels: [0, {steps // 2}], iterations: 2}}"
    done = process(prior, face, out / "edited", steps, enhancer) if edited else alone
    return {
        "prior": name,
        "side": side,
        "steps": steps,
        "calls": done["calls_per_image"] if edited else None,
        "again": alone["calls_per_image"],
        "identical": bool((read(out / "alone" / face.name).to_uint8() == pixels).all()),
        "memory": max(done["peak"], alone["peak"]),
    }


def process(prior: str, face: Path, out: Path, steps: int, enhancer: str) -> dict[str, Any]:
    """The summary of one run, with its peak memory in GB."""
    settings = [f"priors.face={prior}", f"restore.inverter.steps={steps}", f"restore.enhancer={enhancer}"]
    words = [word for setting in settings for word in ("--set", setting)]
    program = [sys.executable, "-c", f"{peak_report()}\n{MAIN}", "run", "odedit-exact", str(face), "-o", str(out)]
    done = subprocess.run([*program, *words, "--json"], check=True, capture_output=True, text=True)
    text, _, peak = done.stdout.rstrip().rpartition("\n")
    return dict(json.loads(text)) | {"peak": int(peak) * (1 if sys.platform == "darwin" else 1024) / 1e9}


def random_network(folder: Path, side: int, shape: dict[str, Any]) -> None:
    """A prior's folder in the layout of google/ddpm-ema-celebahq-256 (network and scheduler side by side)."""
    import torch
    from diffusers import DDPMScheduler, UNet2DModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        UNet2DModel(sample_size=side, **shape).save_pretrained(folder)
    DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear").save_pretrained(folder)
