"""Pictures and plots as data URIs, so that a page is a single file."""

from __future__ import annotations

import base64
import io
from typing import Any

import PIL.Image

from odekit.core.image import Image

MAX_SIDE = 512
"""Maximum length of the longer side of an embedded picture, in pixels."""
LOSSLESS_SIDE = 128
"""Pictures with sides up to this length are embedded without loss."""


def picture_uri(image: Image, width: int | None = None, height: int | None = None) -> str:
    """A picture as a data URI, scaled to (width, height) if given, then reduced to `MAX_SIDE` if larger.

    Pictures up to `LOSSLESS_SIDE` are lossless PNG; larger ones are WebP of quality 85.
    """
    scaled = PIL.Image.fromarray(image.to_uint8())
    if width and height and scaled.size != (width, height):
        enlarging = _enlarging_filter(scaled)
        scaled = scaled.resize((width, height), PIL.Image.Resampling.BOX if scaled.width > width else enlarging)
    scaled.thumbnail((MAX_SIDE, MAX_SIDE), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if max(scaled.size) <= LOSSLESS_SIDE:
        scaled.save(buffer, "PNG", optimize=True)
        return _uri("image/png", buffer.getvalue())
    scaled.save(buffer, "WEBP", quality=85)
    return _uri("image/webp", buffer.getvalue())


def _enlarging_filter(picture: PIL.Image.Image) -> PIL.Image.Resampling:
    """Nearest neighbour for small pictures, so that smoothing is not mistaken for restoration; else bicubic."""
    return PIL.Image.Resampling.NEAREST if max(picture.size) <= LOSSLESS_SIDE else PIL.Image.Resampling.BICUBIC


def picture_pair_uris(before: Image, after: Image) -> tuple[str, str]:
    """Two pictures as data URIs, both scaled to the size of the larger one."""
    larger = max(before, after, key=lambda image: image.width * image.height)
    return picture_uri(before, larger.width, larger.height), picture_uri(after, larger.width, larger.height)


def plot_uri(figure: Any) -> str:
    """A matplotlib figure as an SVG data URI; reproducible byte for byte."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "odekit", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return _uri("image/svg+xml", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
