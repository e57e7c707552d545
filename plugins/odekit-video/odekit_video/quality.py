"""One scale of quality for encoders that have scales of their own: the constant rate factor of x264."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from odekit.errors import ConfigError
from odekit_video.read import import_av

DEFAULT = 17
LARGEST = {"libx264": 51, "libx264rgb": 51, "libx265": 51}
"""Largest rate factor, where it is less than 63."""
QUANTISED = frozenset({
    "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "h263", "h263p", "msmpeg4", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2",
    "flv", "rv10", "rv20", "speedhq",
})  # fmt: skip
"""Encoders of FFmpeg's own with a quantiser from 1 to 31."""
KNOWN = "libx264, libx265, libsvtav1, libvpx-vp9, libvpx, mpeg4, mpeg2video, mjpeg"
"""Some encoders that take a quality, for messages."""
FASTEST = 65535
"""Largest numerator of a rate in MPEG-4."""


def scale_of(codec: str) -> str:
    """The name of the scale that an encoder has: `crf`, `quantiser`, `cq` or `global_quality`; empty for none."""
    if codec in QUANTISED:
        return "quantiser"
    if codec.endswith("_qsv"):
        return "global_quality"
    context = import_av().CodecContext.create(codec, "w")
    options = getattr(context, "supported_options", None)  # PyAV 17 has none; it has the encoders that take `crf`
    names = {option.name for option in options.private} if options else {"crf"}
    return next((name for name in ("crf", "cq") if name in names), "")


def quality_options(codec: str, quality: int) -> dict[str, str]:
    """Options of an encoder for a quality; empty where it has no scale for it.

    A rate factor of 6 more doubles the step of the quantiser, which is 0.625 at 0 in H.264; in MPEG-4 it is twice the
    quantiser.
    """
    scale = scale_of(codec)
    if scale == "crf":
        return {"crf": str(min(quality, LARGEST.get(codec, 63)))}
    if scale == "quantiser":
        quantiser = str(min(31, max(1, round(0.3125 * 2 ** (quality / 6)))))
        return {"qmin": quantiser, "qmax": quantiser, "b": "1000M"}
    if scale == "cq":
        return {"rc": "vbr", "cq": str(min(51, max(1, quality))), "b": "0"}
    return {"global_quality": str(min(51, max(1, quality)))} if scale else {}


def check_quality(codec: str, quality: int | None) -> None:
    """Refuse a quality that a person chose and the encoder has no scale for.

    Raises:
        ConfigError: it is such a one.
    """
    if quality is None or scale_of(codec):
        return
    found: Any = import_av().Codec(codec, "w")
    why = "loses nothing" if found.lossless and not found.lossy else "has no scale of quality that is known here"
    raise ConfigError(f"--quality {quality}: {codec} {why}; leave it out, or choose another, such as {KNOWN}")


def quality_note(codec: str) -> str:
    """A sentence for a lossy encoder that decides the quality by itself; empty for others."""
    found: Any = import_av().Codec(codec, "w")
    return "" if scale_of(codec) or not found.lossy else f"{codec} encodes with its own default quality"


def counts_frames(codec: str) -> bool:
    """Whether an encoder needs frames at a steady rate, so that they are numbered for it; their times are kept."""
    return codec in QUANTISED


def steady_rate(codec: str, rate: Fraction) -> Fraction:
    """The rate nearest to this one that such an encoder can state."""
    possible = [Fraction(one) for one in import_av().Codec(codec, "w").frame_rates or ()]
    if possible:
        return min(possible, key=lambda one: abs(one - rate))
    simple = rate.limit_denominator(1001)
    return simple if 0 < simple.numerator <= FASTEST else Fraction(max(1, min(FASTEST, round(rate))))
