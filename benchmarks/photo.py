"""Whole photographs against known faces: which are found, what is wrongly found, and how invisible a paste is."""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Face, FaceDetector
from odekit.errors import InputError
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.masks import EllipseMask
from odekit.parts.faces.options import Paste
from odekit.parts.faces.paste import Restored, put
from odekit.parts.faces.warp import cut, fractions, patch

POINTS = TEMPLATES["ffhq-5"]
NEAR = 0.25
"""A face is found where the middle of five points is this near the true one, in sides of the aligned crop."""
SIDE = 512
SHIFT = 10 / 255
TEXTURE = 3 / 255


@dataclass(frozen=True)
class Truth:
    """A face that is known to be there."""

    points: NDArray[np.float64]
    box: tuple[int, ...]
    """x0, y0, x1, y1 as listed, in whole pixels, to name it by; empty where none is listed."""
    small: bool
    hard: bool

    @property
    def frame(self) -> Frame:
        """Where the aligned crop lies."""
        return Frame.fit(self.points, POINTS)


@dataclass(frozen=True)
class Known:
    """A photograph and its faces; `complete` where none is missing in the list."""

    path: Path
    faces: Sequence[Truth]
    complete: bool


@dataclass
class Looked:
    """What a detector made of a photograph."""

    known: Known
    seconds: float
    errors: list[tuple[Truth, float]] = field(default_factory=list)
    """Found faces: mean distance of the five points as a fraction of the aligned crop's side."""
    missed: list[Truth] = field(default_factory=list)
    false: list[Face] = field(default_factory=list)
    """Found where there is none; only counted in complete photographs."""
    seam: float = math.nan
    """Largest relative difference of the mean gradient across the mask's border."""
    shift: float = math.nan
    """Largest displacement of a pasted face, in pixels."""


def known(folder: Path) -> list[Known]:
    """The photographs of a folder with a `faces.json`.

    Raises:
        InputError: there is none, or it is not of that shape.
    """
    path = folder / "faces.json"
    try:
        photos = json.loads(path.read_text(encoding="utf-8"))["photos"]
        return [
            Known(
                folder / name,
                [
                    Truth(
                        np.array(f["points"], dtype=np.float64),
                        tuple(round(v) for v in f.get("box", ())),
                        f["small"],
                        f["hard"],
                    )
                    for f in one["faces"]
                ],
                one["complete"],
            )
            for name, one in sorted(photos.items())
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no list of known faces ({error!r}); it says, under 'photos', for each file 'complete' and "
            "'faces' with five 'points', 'small' and 'hard'"
        ) from error


def look(detector: FaceDetector, one: Known, photo: Image, pastes: bool = True) -> Looked:
    """Detect and compare; paste a changed face at every true place and measure the seam."""
    began = time.perf_counter()
    faces = list(detector.detect(photo))
    out = Looked(one, time.perf_counter() - began)
    left = list(faces)
    for truth in one.faces:
        side, middle = truth.frame.side, truth.points.mean(0)
        mine = [f for f in left if f.points and math.dist(np.mean(f.points, axis=0), middle) < NEAR * side]
        if not mine:
            out.missed.append(truth)
            continue
        best = max(mine, key=lambda f: f.score)
        left = [f for f in left if f not in mine]
        out.errors.append((truth, float(np.hypot(*(np.array(best.points) - truth.points).T).mean()) / side))
    out.false = left if one.complete else []
    if pastes:
        measured = [(seam(photo.pixels, t.frame), shift(photo.pixels, t.frame)) for t in one.faces if not t.small]
        out.seam = max((s for s, _ in measured), default=math.nan)
        out.shift = max((s for _, s in measured), default=math.nan)
    return out


def altered(crop: Pixels) -> Pixels:
    """The crop, lighter by 10/255 and with a fine pattern: what a seam must not show, and a paste must."""
    x, y = np.meshgrid(np.arange(crop.shape[2]), np.arange(crop.shape[1]))
    pattern = TEXTURE * np.sin(2 * np.pi * x / 16) * np.sin(2 * np.pi * y / 16)
    changed: Pixels = np.clip(crop + np.float32(SHIFT) + pattern.astype(np.float32), 0, 1)
    return changed


def pasted(photo: Pixels, frame: Frame, change: bool, options: Paste) -> Pixels:
    """The photograph with an aligned face pasted back, altered or not."""
    crop = cut(photo, frame, SIDE)
    face = Restored(1, frame, Image(crop), Image(altered(crop) if change else crop), SIDE)
    canvas = photo.copy()
    put(canvas, photo, face, EllipseMask(), options)
    return canvas


def seam(photo: Pixels, frame: Frame) -> float:
    """How much the mean gradient across the mask's border differs from the photograph's own, as a fraction.

    Gradients along the normal of the mask's border, where the mask lies between 0 and 1; the pasted face is `altered`.

    Raises:
        AssertionError: the paste did nothing.
    """
    options = Paste.model_validate({"mask": "ellipse"})
    after = pasted(photo, frame, True, options)
    x0, y0, x1, y1 = patch(frame, photo.shape[2], photo.shape[1])
    mask = EllipseMask().at(*fractions(frame, (x0, y0, x1, y1)), options.feather)
    assert np.abs(after - photo)[:, y0:y1, x0:x1][:, mask == 1].mean() > TEXTURE / 8, "the paste changed nothing"
    gy, gx = np.gradient(mask)
    length = np.hypot(gx, gy)
    ring = length > 1e-6
    if not ring.any():
        return 0.0

    def across(picture: Pixels) -> float:
        dy, dx = np.gradient(picture[:, y0:y1, x0:x1].mean(0))
        return float(np.abs((dx * gx + dy * gy)[ring] / length[ring]).mean())

    return abs(across(after) / across(photo) - 1)


def shift(photo: Pixels, frame: Frame) -> float:
    """How far an unchanged face lies from where it was, in pixels: `after - before = d . gradient`, least squares."""
    options = Paste.model_validate({"mask": "ellipse", "match_colour": "none", "detail": 0.0})
    after = pasted(photo, frame, False, options)
    x0, y0, x1, y1 = patch(frame, photo.shape[2], photo.shape[1])
    inside = EllipseMask().at(*fractions(frame, (x0, y0, x1, y1)), options.feather) == 1
    before = photo[:, y0:y1, x0:x1].mean(0)
    dy, dx = np.gradient(before)
    change = (after[:, y0:y1, x0:x1].mean(0) - before)[inside]
    found = np.linalg.lstsq(np.stack([dx[inside], dy[inside]], 1), change, rcond=None)[0]
    return float(np.hypot(*found))


def peak() -> float:
    """The largest memory of this process so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def summary(looked: Sequence[Looked]) -> dict[str, Any]:
    """The figures over all photographs."""
    plain = [t for one in looked for t in one.known.faces if not t.small and not t.hard]
    little = [t for one in looked for t in one.known.faces if t.small]
    missed = [t for one in looked for t in one.missed]
    errors = [e for one in looked for t, e in one.errors if not t.hard]
    return {
        "faces": len(plain),
        "missed": [
            f"{one.known.path.name} {t.box or tuple(round(v) for v in t.points.mean(0))}"
            for one in looked
            for t in one.missed
            if not t.small and not t.hard
        ],
        "recall": 1 - sum(not t.small and not t.hard for t in missed) / max(1, len(plain)),
        "small": len(little),
        "recall_small": 1 - sum(t.small for t in missed) / max(1, len(little)),
        "false": sum(len(one.false) for one in looked),
        "error": float(np.median(errors)) if errors else math.nan,
        "seam": float(np.nanmax([one.seam for one in looked] + [0.0])),
        "shift": float(np.nanmax([one.shift for one in looked] + [0.0])),
        "seconds": float(np.mean([one.seconds for one in looked])) if looked else math.nan,
        "peak_gb": peak(),
    }
