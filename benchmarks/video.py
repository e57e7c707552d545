"""`python -m benchmarks video`: flicker, fidelity and speed of `odekit video` on a drawn clip with one face."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from benchmarks import clips
from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.table import Goal, Table

COLUMNS = {
    "clip": "clip", "frames": "frames", "flicker": "flicker, of the input", "before": "before dB",
    "after": "after dB", "rate": "frames/s", "used": "processor s a frame", "faces": "faces restored",
}  # fmt: skip
FLICKER, RATE = 0.4, 2.0
"""Goals: temporal standard deviation of a still face over that of the input; frames a second."""
NOISE = 0.06
"""Standard deviation of the noise, new in each frame."""
DAMAGES = ("noise", "blur")
PER_SECOND = 10
"""Frames a second of the blurred clip: 100 are 10 s."""


def command(
    frames: Annotated[int, typer.Option(min=8, help="Frames of each clip.")] = 60,
    width: Annotated[int, typer.Option(min=64)] = 640,
    height: Annotated[int, typer.Option(min=64)] = 480,
    chain: Annotated[str, typer.Option(help="A chain with the stage `faces`.")] = "photo",
    damage: Annotated[
        str, typer.Option(help="noise: a drawn clip in noise; blur: a photograph, blurred and compressed as JPEG.")
    ] = DAMAGES[0],
    only: Annotated[str | None, typer.Option(help="still or moving; default: both clips.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet of the moving face.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the clips and the results in this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """A face that stands still and one that moves, damaged: before and after.

    Example: python -m benchmarks video --frames 300
    """
    if damage not in DAMAGES:
        raise typer.BadParameter(f"{damage}: choose {' or '.join(DAMAGES)}")
    if only not in (None, "still", "moving"):
        raise typer.BadParameter(f"{only}: choose still or moving")
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        speeds = {"still": 0.0, "moving": 0.2 * width / frames}
        if only is not None:
            speeds = {only: speeds[only]}
        rows = [
            measure(folder, name, frames, (width, height), speed, chain, damage, sheet if name == "moving" else None)
            for name, speed in speeds.items()
        ]
    goals = [
        *(Goal(f"flicker, {row['clip']}", row["flicker"], most=FLICKER) for row in rows if row["clip"] == "still"),
        Goal("frames a second", min(row["rate"] for row in rows), least=RATE),
        Goal("gain in PSNR, dB", min(row["after"] - row["before"] for row in rows), least=0),
    ]
    how = f"`{chain}`, {width} x {height}, one face, {damage}; both passes and encoding"
    print_result(Table("video", how, COLUMNS, rows, goals), as_json)


def measure(
    folder: Path, name: str, count: int, size: tuple[int, int], speed: float, chain: str, damage: str,
    sheet: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """Make, restore and compare one clip."""
    from odekit_video.job import VideoJob

    clean, spoiled, rate = make(damage, count, size, speed)
    source = clips.write(folder / f"{name}.mp4", spoiled, crf=8, rate=rate)
    job = VideoJob(source, folder / f"{name}-out.mp4")
    began, used = time.monotonic(), time.process_time()
    record = job.run(job.chain(chain, [], "auto"), 0, "cpu", "auto", lambda *_: None, sheet)
    seconds, used = time.monotonic() - began, time.process_time() - used
    before, after = clips.read(source)[0], clips.read(job.output)[0]
    flickers = [flicker(values, speed) for values in (before, after)]
    return {
        "clip": name, "frames": count, "flicker": flickers[1] / flickers[0], "before": psnr(before, clean),
        "after": psnr(after, clean), "rate": count / seconds, "used": used / count,
        "faces": sum(any(track["decided"].values()) for track in record["tracks"]),
    }  # fmt: skip


def make(damage: str, count: int, size: tuple[int, int], speed: float) -> tuple[clips.Frames, clips.Frames, int]:
    """The clean frames, the damaged ones, and how many there are a second."""
    if damage == "blur":
        clean = clips.pan(count, *size, speed=speed)
        return clean, clips.damaged(clean), PER_SECOND
    options: dict[str, Any] = {"width": size[0], "height": size[1], "side": size[1] // 2, "speed": speed}
    return clips.clip(count, **options), clips.clip(count, noise=NOISE, **options), 25


def flicker(frames: clips.Frames, speed: float) -> float:
    """Standard deviation over time in the middle of the face, which is moved back to its first place."""
    height, width = frames.shape[1:3]
    half, still = height // 8, []
    for n, frame in enumerate(frames):
        shift = np.array([[1, 0, -speed * n], [0, 1, 0]])
        moved = cv2.warpAffine(frame, shift, (width, height), flags=cv2.INTER_CUBIC) if speed else frame
        still.append(moved[height // 2 - half : height // 2 + half, width // 2 - half : width // 2 + half])
    return float(np.stack(still).std(0).mean())


def psnr(one: clips.Frames, two: clips.Frames) -> float:
    """Over all values."""
    return float(-10 * np.log10(np.mean((one - two) ** 2)))
