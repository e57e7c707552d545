"""The pixel format in which an encoder is given frames, and what of theirs it does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from odekit_video.colour import HD_HEIGHT, coding_of, planar

if TYPE_CHECKING:
    import av

FULL_RANGE = {"mjpeg": {"yuv420p": "yuvj420p", "yuv422p": "yuvj422p", "yuv444p": "yuvj444p"}}
"""Formats of encoders whose pictures are of full range, by those of limited range."""
SAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (4, 1): "4:1:1", (4, 4): "4:1:0", (1, 2): "4:4:0"}
"""Names of how colours are sampled, by how many pixels share one across and down."""
TAGS = {"colorspace": "matrix", "color_range": "range", "color_primaries": "primaries", "color_trc": "transfer"}
"""Colour tags of frames, and words for them."""
COARSE = ("pal", "mono", "rgb4", "rgb5", "bgr4", "bgr5", "rgb8", "bgr8")
"""First letters of formats of fewer than 8 bits a colour."""
NAMES = {"bt601": "BT.601", "bt709": "BT.709", "bt2020": "BT.2020", "240m": "SMPTE 240M"}
"""Names of matrices."""
SILENT = {"colorspace": (0, 2), "color_range": (0, 1), "color_primaries": (0, 2), "color_trc": (0, 2)}
"""Codes that say no more than no tag: unknown, and limited range."""
RGB_MATRIX, FULL = 0, 2
"""FFmpeg's codes of the matrix of frames in RGB, which have none, and of full range."""


def pixel_format(codec: Any, frame: av.VideoFrame) -> str:
    """The format nearest to that of a frame, of those that an encoder takes.

    4:2:0 needs even sides, so frames of odd sides become 4:4:4 where there is that. Transparency is not encoded:
    restored frames have none.
    """
    import av

    full = FULL_RANGE.get(codec.name, {})
    taken = [av.VideoFormat(one.name, frame.width, frame.height) for one in codec.video_formats or ()]
    taken = [one for one in taken if one.name not in full]
    name = full.get(frame.format.name, frame.format.name)
    if not taken:
        return str(name)
    bits, grey = depth(frame.format), len(frame.format.components) < 3
    across, down = (8, 8) if grey else sampling(frame.format)

    def distance(one: av.VideoFormat) -> tuple[Any, ...]:
        """What is lost first, then what is written in vain, then what FFmpeg has to shuffle."""
        wide, high = sampling(one)
        odd = (frame.width % wide, frame.height % high) != (0, 0)
        few = len(one.components) < 3
        return (
            any(component.is_alpha for component in one.components) or one.name.startswith(COARSE),
            few and not grey,
            one.is_rgb,
            odd and not few,
            max(0, wide - across) + max(0, high - down),
            max(0, bits - depth(one)),
            few != grey,
            max(0, across - wide) + max(0, down - high),
            max(0, depth(one) - bits),
            one.name != name,
            one.name.startswith("yuvj") != name.startswith("yuvj"),
            not one.is_planar or one.is_big_endian or one.name.startswith("nv"),
        )

    return str(min(taken, key=distance).name)


def format_losses(codec: str, stored: av.VideoFrame, name: str) -> list[str]:
    """What of the pixels of a video is not held by the format in which it is encoded.

    Args:
        codec: the encoder.
        stored: a frame of the video as it is decoded.
        name: the format.
    """
    import av

    old, new = stored.format, av.VideoFormat(name, stored.width, stored.height)
    lost, notes = [], []
    if depth(new) < depth(old):
        lost.append(f"its {depth(old)} bits a colour become {depth(new)}")
    before, after = sampling(old), sampling(new)
    if len(old.components) >= 3 and (after[0] > before[0] or after[1] > before[1]):
        lost.append(f"its colours of {SAMPLINGS.get(before, 'full size')} become {SAMPLINGS.get(after, 'fewer')}")
    if lost:
        notes.append(f"with {codec}, {' and '.join(lost)}")
    if is_rgb(old) and not is_rgb(new):
        matrix = "BT.709" if stored.height >= HD_HEIGHT else "BT.601"
        notes.append(f"its RGB is coded as Y'CbCr ({matrix}, {SAMPLINGS.get(after, 'fewer colours')})")
    return notes


def tag_losses(codec: str, suffix: str, before: av.VideoFrame, after: av.VideoFrame) -> list[str]:
    """The colour tags of a frame that it has no more after it was encoded and put into a file with this ending."""
    old, new = tags_of(before), tags_of(after)
    lost = [word for tag, word in TAGS.items() if old[tag] not in SILENT[tag] and new[tag] != old[tag]]
    notes = []
    meant, taken = coding_of(before).matrix, coding_of(planar(after)).matrix
    if meant != taken:
        notes.append(
            f"players take its colours for {NAMES[taken]} instead of {NAMES[meant]}, since {codec} in {suffix} has no "
            "such tag"
        )
    if lost and (lost != ["matrix"] or not notes):
        which = f"tags ({', '.join(lost)}) are" if len(lost) > 1 else f"tag ({lost[0]}) is"
        notes.append(f"its colour {which} left out, which {codec} in {suffix} does not hold")
    return notes


def tags_of(frame: av.VideoFrame) -> dict[str, int]:
    """The codes of the colour tags of a frame."""
    return {tag: int(getattr(frame, tag)) for tag in TAGS}


def set_tags(context: Any, tags: Mapping[str, int], format: str) -> None:
    """Give these colour tags to the context of an encoder or a stream, as far as they fit the pixel format."""
    import av

    if av.VideoFormat(format).is_rgb:
        tags = {**tags, "colorspace": RGB_MATRIX, "color_range": FULL}
    elif format.startswith("yuvj"):
        tags = {**tags, "color_range": FULL}
    for tag, code in tags.items():
        setattr(context, tag, code)


def sampling(format: av.VideoFormat) -> tuple[int, int]:
    """How many pixels share a colour across and down; formats without colours have one of each."""
    if len(format.components) < 3 or format.is_rgb:
        return 1, 1
    return 8 // format.chroma_width(8), 8 // format.chroma_height(8)


def is_rgb(format: av.VideoFormat) -> bool:
    """Whether a format holds red, green and blue, or a palette of these."""
    return bool(format.is_rgb) or format.name.startswith("pal")


def depth(format: av.VideoFormat) -> int:
    """Bits of its finest component."""
    return max(int(component.bits) for component in format.components)
