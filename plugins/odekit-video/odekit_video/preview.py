"""A contact sheet: some frames before and after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.errors import ConfigError, OutputError
from odekit_video.find import frame_pixels
from odekit_video.place import check_folder
from odekit_video.read import frames_from, probe

if TYPE_CHECKING:
    import av

SUFFIXES = (".png", ".jpg", ".jpeg")
COLUMNS = 5
WIDTH = 320
"""Of a frame on the sheet, in pixels."""


def check_sheet(sheet: Path, overwrite: bool) -> None:
    """Refuse a sheet that could not be written at the end.

    Raises:
        ConfigError: the ending is that of no picture.
        OutputError: no such folder, nothing can be written there, or something is there and `overwrite` is not set.
    """
    if sheet.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--preview {sheet}: choose a file that ends with {', '.join(SUFFIXES)}")
    check_folder(sheet.parent, f"--preview {sheet}")
    if sheet.is_dir():
        raise OutputError(f"--preview {sheet} is a folder; choose a file")
    if sheet.exists() and not (overwrite and sheet.is_file()):
        raise OutputError(f"--preview {sheet} is there already; --overwrite replaces it")


def write_preview(source: Path, output: Path, sheet: Path, begin: float = 0.0) -> None:
    """Write frames of the output, spread evenly, under those of the source with the same times.

    Args:
        source: the video.
        output: what it became.
        sheet: the picture to write.
        begin: time of the source's frame that is the first of the output, in seconds.
    """
    after = [(float(frame.time or 0), frame_pixels(frame, 0)) for frame in spread(output)]
    turns = probe(source).turns
    before = []
    wanted = [time - after[0][0] + begin for time, _ in after]
    for frame in frames_from(source, None):
        if wanted and float(frame.time or 0) >= wanted[0] - 1e-3:
            before.append(frame_pixels(frame, turns))
            wanted.pop(0)
        if not wanted:
            break
    rows = [np.concatenate([small(pixels) for pixels in row], 1) for row in (before, [p for _, p in after]) if row]
    width = min(row.shape[1] for row in rows)
    try:
        PIL.Image.fromarray(np.concatenate([row[:, :width] for row in rows])).save(sheet)
    except OSError as error:
        raise OutputError(f"--preview {sheet}: cannot be written ({error.strerror or error})") from error


def spread(path: Path) -> list[av.VideoFrame]:
    """Up to `COLUMNS` frames of a video, spread evenly."""
    count = sum(1 for _ in frames_from(path, None))
    chosen = {round(i) for i in np.linspace(0, count - 1, min(COLUMNS, count))}
    return [frame for number, frame in enumerate(frames_from(path, None)) if number in chosen]


def small(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels (3, H, W) in [0, 1] as uint8 (h, w, 3) of the sheet's width."""
    picture = PIL.Image.fromarray((pixels.transpose(1, 2, 0) * 255).round().astype(np.uint8))
    return np.asarray(picture.resize((WIDTH, max(1, round(WIDTH * picture.height / picture.width)))))
