"""Pictures and plots as data URIs, so that a page is a single file."""

from __future__ import annotations

import base64
import io
from typing import Any

import PIL.Image

from odekit.core.image import Image

LONGEST = 512
"""Maximum length of the longer side of an embedded picture, in pixels."""
SMALL = 128
"""Pictures with sides up to this length are embedded without loss."""


def picture(image: Image, width: int | None = None, height: int | None = None) -> str:
    """A picture as a data URI, scaled to (width, height) if given, then reduced to `LONGEST` if larger.

    Pictures up to `SMALL` are lossless PNG; larger ones are WebP of quality 85.
    """
    scaled = PIL.Image.fromarray(image.to_uint8())
    if width and height and scaled.size != (width, height):
        enlarging = _enlarging_filter(scaled)
        scaled = scaled.resize((width, height), PIL.Image.Resampling.BOX if scaled.width > width else enlarging)
    scaled.thumbnail((LONGEST, LONGEST), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if max(scaled.size) <= SMALL:
        scaled.save(buffer, "PNG", optimize=True)
        return _uri("image/png", buffer.getvalue())
    scaled.save(buffer, "WEBP", quality=85)
    return _uri("image/webp", buffer.getvalue())


def _enlarging_filter(picture: PIL.Image.Image) -> PIL.Image.Resampling:
    """Nearest neighbour for small pictures, so that smoothing is not mistaken for restoration; else bicubic."""
    return PIL.Image.Resampling.NEAREST if max(picture.size) <= SMALL else PIL.Image.Resampling.BICUBIC


def pair(before: Image, after: Image) -> tuple[str, str]:
    """Two pictures as data URIs, both scaled to the size of the larger one."""
    larger = max(before, after, key=lambda image: image.width * image.height)
    return picture(before, larger.width, larger.height), picture(after, larger.width, larger.height)


def plot(figure: Any) -> str:
    """A matplotlib figure as an SVG data URI; reproducible byte for byte."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "odekit", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return _uri("image/svg+xml", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
