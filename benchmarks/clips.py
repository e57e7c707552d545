"""Clips for tests and figures of odekit-video: a face before a drawn background, moved, damaged and encoded."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
Frames = NDArray[np.float32]
"""(N, H, W, 3) in [0, 1]."""
ASTRONAUT = (224.0, 120.0)
"""Middle of the face in examples/photos/astronaut.jpg, in pixels."""


def face(number: int = 0, side: int = 160) -> NDArray[np.float32]:
    """A licensed face (side, side, 3) of the examples."""
    files = sorted((ROOT / "examples" / "clean").glob("*.png"))
    picture = (
        PIL.Image.open(files[number % len(files)]).convert("RGB").resize((side, side), PIL.Image.Resampling.BICUBIC)
    )
    values: NDArray[np.float32] = np.asarray(picture, np.float32) / np.float32(255)
    return values


def background(width: int, height: int, seed: int = 0) -> NDArray[np.float32]:
    """A smooth coloured background (H, W, 3)."""
    coarse = np.random.Generator(np.random.Philox(seed)).random((6, 8, 3), dtype=np.float32)
    large = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    values: NDArray[np.float32] = np.clip(large, 0, 1) * np.float32(0.6) + np.float32(0.2)
    return values


def clip(
    count: int, width: int = 320, height: int = 240, side: int = 140, speed: float = 0.0, noise: float = 0.0,
    seed: int = 0, faces: int = 1,
) -> Frames:  # fmt: skip
    """Frames with faces that move to the right by `speed` pixels a frame, and with noise that is new in each frame."""
    rng = np.random.Generator(np.random.Philox(seed + 1))
    still = background(width, height, seed)
    window = np.hanning(side + 2)[1:-1, None] ** 0.25 * np.hanning(side + 2)[None, 1:-1] ** 0.25
    frames = np.repeat(still[None], count, 0)
    for n in range(count):
        for k in range(faces):
            left = (width / (faces + 1)) * (k + 1) - side / 2 + speed * n
            shift = np.array([[1, 0, left], [0, 1, (height - side) / 2]])
            moved = cv2.warpAffine(face(k, side), shift, (width, height), flags=cv2.INTER_CUBIC)
            cover = cv2.warpAffine(window.astype(np.float32), shift, (width, height))[..., None]
            frames[n] = cover * moved + (1 - cover) * frames[n]
    if noise:
        frames = frames + noise * rng.standard_normal(frames.shape, dtype=np.float32)
    return np.clip(frames, 0, 1).astype(np.float32)


def pan(count: int, width: int = 640, height: int = 480, speed: float = 0.0) -> Frames:
    """Frames cut from the example photograph of an astronaut, enlarged twice; it moves to the right by `speed` pixels a
    frame, at first with the face in the middle.
    """
    with PIL.Image.open(ROOT / "examples" / "photos" / "astronaut.jpg") as picture:
        photo = np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)
    (x, y), border = ASTRONAUT, cv2.BORDER_REFLECT
    shifts = [np.array([[2, 0, width / 2 - 2 * x + speed * n], [0, 2, height / 2 - 2 * y]]) for n in range(count)]
    moved = [cv2.warpAffine(photo, s, (width, height), flags=cv2.INTER_CUBIC, borderMode=border) for s in shifts]
    frames: Frames = np.clip(np.stack(moved), 0, 1)
    return frames


def damaged(frames: Frames, blur: float = 3.0, noise: float = 0.02, quality: int = 25, seed: int = 0) -> Frames:
    """Frames blurred by this standard deviation in pixels, with noise that is new in each, each compressed as JPEG."""
    rng = np.random.Generator(np.random.Philox(seed))
    out = np.empty_like(frames)
    for n, frame in enumerate(frames):
        soft = cv2.GaussianBlur(frame, (0, 0), blur) + noise * rng.standard_normal(frame.shape, dtype=np.float32)
        data = io.BytesIO()
        PIL.Image.fromarray((np.clip(soft, 0, 1) * 255).round().astype(np.uint8)).save(data, "JPEG", quality=quality)
        out[n] = np.asarray(PIL.Image.open(data), np.float32) / np.float32(255)
    return out


def write(
    path: Path, frames: Frames, *, pts: list[int] | None = None, time_base: Fraction = Fraction(1, 25000),
    format: str = "yuv420p", crf: int = 4, audio: bool = False, rate: int = 25, tags: tuple[int, int] | None = None,
) -> Path:  # fmt: skip
    """Encode frames with x264; `pts` are multiples of the time base; without, there are `rate` frames a second."""
    stamps = pts or [round(n / rate / time_base) for n in range(len(frames))]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], format
        stream.codec_context.time_base = stream.time_base = time_base
        if tags is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = tags
        sound = container.add_stream("aac", rate=44100) if audio else None
        container.start_encoding()
        for stamp, values in zip(stamps, frames, strict=True):
            deep = "10" in format
            kind, largest = (np.uint16, 65535) if deep else (np.uint8, 255)
            array = np.ascontiguousarray((values * largest).round().astype(kind))
            frame = av.VideoFrame.from_ndarray(array, "rgb48le" if deep else "rgb24").reformat(format=format)
            frame.pts, frame.time_base = stamp, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            tone = (0.2 * np.sin(np.arange(1024 * 40) / 20)).astype(np.float32)
            for start in range(0, len(tone), 1024):
                part = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], "fltp", "mono")
                part.sample_rate, part.pts, part.time_base = 44100, start, Fraction(1, 44100)
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))
    return path


def read(path: Path) -> tuple[Frames, list[float]]:
    """The frames of a video, and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        times = [float(frame.time) for frame in frames]
        values: Frames = np.stack([f.to_ndarray(format="rgb24") for f in frames]).astype(np.float32) / np.float32(255)
        return values, times
