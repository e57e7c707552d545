"""`python -m benchmarks video`: flicker, fidelity and speed of `odekit video` on a drawn clip with one face."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import clips
from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.table import Goal, Table

COLUMNS = {
    "clip": "clip", "frames": "frames", "flicker": "flicker, of the input", "before": "before dB",
    "after": "after dB", "rate": "frames/s", "faces": "faces restored",
}  # fmt: skip
FLICKER, RATE = 0.4, 2.0
"""Goals: temporal standard deviation of a still face over that of the input; frames a second."""


def command(
    frames: Annotated[int, typer.Option(min=8, help="Frames of each clip.")] = 60,
    width: Annotated[int, typer.Option(min=64)] = 640,
    height: Annotated[int, typer.Option(min=64)] = 480,
    chain: Annotated[str, typer.Option(help="A chain with the stage `faces`.")] = "photo",
    noise: Annotated[float, typer.Option(help="Standard deviation of the noise, new in each frame.")] = 0.06,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet of the moving face.")] = None,
    as_json: AsJson = False,
) -> None:
    """A face that stands still and one that moves, in noise: before and after.

    Example: python -m benchmarks video --frames 300
    """
    from odekit_video.job import VideoJob

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, speed in (("still", 0.0), ("moving", 0.2 * width / frames)):
            options: dict[str, Any] = {"width": width, "height": height, "side": height // 2, "speed": speed}
            clean = clips.clip(frames, **options)
            source = clips.write(Path(folder) / f"{name}.mp4", clips.clip(frames, noise=noise, **options), crf=8)
            job = VideoJob(source, Path(folder) / f"{name}-out.mp4")
            began = time.monotonic()
            record = job.run(
                job.chain(chain, [], "auto"), 0, "cpu", "auto", lambda *_: None, sheet if name == "moving" else None
            )
            seconds = time.monotonic() - began
            before, after = clips.read(source)[0], clips.read(job.output)[0]
            still = [face_of(values, height).std(0).mean() for values in (before, after)]
            rows.append(
                {
                    "clip": name,
                    "frames": frames,
                    "flicker": float(still[1] / still[0]) if name == "still" else None,
                    "before": psnr(before, clean),
                    "after": psnr(after, clean),
                    "rate": frames / seconds,
                    "faces": sum(any(track["decided"].values()) for track in record["tracks"]),
                }
            )
    goals = [
        Goal("flicker of the still face", rows[0]["flicker"], most=FLICKER),
        Goal("frames a second", min(row["rate"] for row in rows), least=RATE),
        Goal("gain in PSNR, dB", min(row["after"] - row["before"] for row in rows), least=0),
    ]
    how = f"`{chain}`, {width} x {height}, one face of {height // 2} px, noise {noise:g}; both passes and encoding"
    print_result(Table("video", how, COLUMNS, rows, goals), as_json)


def face_of(frames: clips.Frames, height: int) -> clips.Frames:
    """The middle of a face that stands still."""
    middle, half = frames.shape[2] // 2, height // 8
    return frames[:, height // 2 - half : height // 2 + half, middle - half : middle + half]


def psnr(one: clips.Frames, two: clips.Frames) -> float:
    """Over all values."""
    return float(-10 * np.log10(np.mean((one - two) ** 2)))
