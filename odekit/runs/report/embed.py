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
QUALITY = 88
"""WebP quality of larger pictures."""


def picture_uri(image: Image, width: int | None = None, height: int | None = None) -> str:
    """A picture as a data URI, scaled to (width, height) if given, then reduced to `MAX_SIDE` if larger."""
    scaled = PIL.Image.fromarray(image.to_uint8())
    if width and height and scaled.size != (width, height):
        enlarging = _enlarging_filter(scaled)
        scaled = scaled.resize((width, height), PIL.Image.Resampling.BOX if scaled.width > width else enlarging)
    scaled.thumbnail((MAX_SIDE, MAX_SIDE), PIL.Image.Resampling.LANCZOS)
    return data_uri(*encode_picture(scaled))


def encode_picture(picture: PIL.Image.Image, quality: int = QUALITY) -> tuple[str, bytes]:
    """(MIME type, data): lossless PNG up to `LOSSLESS_SIDE`, WebP above."""
    buffer = io.BytesIO()
    if max(picture.size) <= LOSSLESS_SIDE:
        picture.save(buffer, "PNG", optimize=True)
        return "image/png", buffer.getvalue()
    picture.save(buffer, "WEBP", quality=quality, method=2)  # 4, the default, takes twice the time for the same size
    return "image/webp", buffer.getvalue()


def thumbnail_uri(image: Image, side: int = 72) -> str:
    """A small WebP of a picture for lists, cut to a square in its middle."""
    picture = PIL.Image.fromarray(image.to_uint8())
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    small = picture.resize((side, side), PIL.Image.Resampling.BOX, (left, top, left + edge, top + edge))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=70, method=2)
    return data_uri("image/webp", buffer.getvalue())


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
    return data_uri("image/svg+xml", buffer.getvalue())


def data_uri(kind: str, data: bytes) -> str:
    """Data of a MIME type as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
