"""Pictures and plots as data URIs, so that a page is one file."""

from __future__ import annotations

import base64
import io
from typing import Any

import PIL.Image

from odekit.core.image import Image

LONGEST = 512
"""Pixels of the longer side of an embedded picture at most."""
SMALL = 128
"""Pictures up to this side are embedded without loss."""


def picture(image: Image, width: int | None = None, height: int | None = None) -> str:
    """A picture as a data URI, scaled to (width, height) where given, and to at most `LONGEST` in any case.

    Small pictures are PNG, pixel by pixel; larger ones are WebP of quality 85.
    """
    shown = PIL.Image.fromarray(image.to_uint8())
    if width and height and shown.size != (width, height):
        shown = shown.resize((width, height), PIL.Image.Resampling.BOX if shown.width > width else _enlarge(shown))
    shown.thumbnail((LONGEST, LONGEST), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if max(shown.size) <= SMALL:
        shown.save(buffer, "PNG", optimize=True)
        return _uri("image/png", buffer.getvalue())
    shown.save(buffer, "WEBP", quality=85)
    return _uri("image/webp", buffer.getvalue())


def _enlarge(shown: PIL.Image.Image) -> PIL.Image.Resampling:
    """Small pictures keep their pixels, so that nobody takes smoothing for restoration."""
    return PIL.Image.Resampling.NEAREST if max(shown.size) <= SMALL else PIL.Image.Resampling.BICUBIC


def pair(before: Image, after: Image) -> tuple[str, str]:
    """Two pictures in one shape, that of the larger."""
    larger = max(before, after, key=lambda image: image.width * image.height)
    return picture(before, larger.width, larger.height), picture(after, larger.width, larger.height)


def plot(figure: Any) -> str:
    """A matplotlib figure as an SVG data URI; the same figure gives the same bytes."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "odekit", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return _uri("image/svg+xml", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
