"""Frames as pixels, and changes of pixels back into the planes of a frame.

Only the change is converted back, so that what a chain leaves alone keeps its values exactly. R'G'B' and Y'CbCr are
related as in ITU-R BT.601, BT.709 and BT.2020; limited range is 16 to 235 (luma) and 16 to 240 (chroma) at 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels

if TYPE_CHECKING:
    import av

Planes = list[NDArray[Any]]
"""Y, Cb, Cr: (H, W) and twice (h, w), uint8 or uint16."""
WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593), "240m": (0.212, 0.087)}
"""Weights of red and blue in luma."""
MATRIX_CODES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 7: "240m", 9: "bt2020", 10: "bt2020"}
"""Codes of ITU-T H.273, table 4."""
HD_HEIGHT = 720
"""Untagged video of this height and more is BT.709, lower is BT.601, as players take it."""
FULL_RANGE = 2
"""Code of full range in FFmpeg's frames."""
LIMITED = 1
"""Code of limited range in FFmpeg's frames."""
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Codes of ITU-T H.273, table 3, of high dynamic range."""


@dataclass(frozen=True)
class Coding:
    """How the values of a frame stand for colours."""

    matrix: str
    full: bool
    bits: int
    across: int
    """Horizontal subsampling of chroma: 1 or 2 (4 for 4:1:1)."""
    down: int
    """Vertical subsampling of chroma."""

    @property
    def ranges(self) -> tuple[float, float, float]:
        """Code of black, number of codes from black to white, and number of codes of chroma from -0.5 to 0.5."""
        largest, step = float(2**self.bits - 1), float(2 ** (self.bits - 8))
        return (0.0, largest, largest) if self.full else (16 * step, 219 * step, 224 * step)

    @property
    def to_ycc(self) -> NDArray[np.float32]:
        """(3, 3): R'G'B' in [0, 1] to Y' in [0, 1] and Cb, Cr in [-0.5, 0.5]."""
        red, blue = WEIGHTS[self.matrix]
        luma = np.array([red, 1 - red - blue, blue])
        cb, cr = (np.eye(3)[2] - luma) / (2 * (1 - blue)), (np.eye(3)[0] - luma) / (2 * (1 - red))
        return np.stack([luma, cb, cr]).astype(np.float32)


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in a planar Y'CbCr format of 8 to 16 bits; frames in others are converted by FFmpeg."""
    if is_planar(frame.format):
        return frame
    bits = max(component.bits for component in frame.format.components)
    subsampled = frame.format.name.startswith(("nv12", "p010"))
    name = ("yuv420p" if subsampled else "yuv444p") + ("10le" if bits > 8 else "")
    if frame.format.is_rgb or frame.format.name.startswith("pal"):
        high = frame.height >= HD_HEIGHT
        converted = frame.reformat(
            format=name,
            dst_colorspace="ITU709" if high else "ITU601",
            src_color_range=FULL_RANGE,
            dst_color_range=LIMITED,
        )  # R'G'B' has no matrix: the tag of the source would make players take the planes for G, B, R
        converted.colorspace, converted.color_range = (1 if high else 6), LIMITED
    else:
        converted = frame.reformat(format=name)
    converted.pts, converted.time_base = frame.pts, frame.time_base
    return converted


def is_planar(format: av.VideoFormat) -> bool:
    """Whether `planes_of` reads this format."""
    return bool(format.is_planar and not format.is_rgb and len(format.components) in (1, 3, 4)) and not (
        format.is_big_endian or format.name.startswith(("nv", "p0"))
    )


def coding_of(frame: av.VideoFrame) -> Coding:
    """How a planar frame is coded; untagged ones as players take them."""
    format = frame.format
    matrix = MATRIX_CODES.get(int(frame.colorspace), "bt709" if frame.height >= HD_HEIGHT else "bt601")
    full = int(frame.color_range) == FULL_RANGE or format.name.startswith("yuvj")
    across = -(-frame.width // format.chroma_width(frame.width))
    down = -(-frame.height // format.chroma_height(frame.height))
    return Coding(matrix, full, format.components[0].bits, across, down)


def planes_of(frame: av.VideoFrame) -> Planes:
    """Copies of the planes of a planar frame, without their padding; grey frames have one."""
    kind = np.uint8 if frame.format.components[0].bits == 8 else np.dtype("<u2")
    out = []
    for plane in list(frame.planes)[:3]:
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
        width = plane.width * np.dtype(kind).itemsize
        out.append(np.ascontiguousarray(lines[:, :width]).view(kind).copy())
    return out


def pixels_of(planes: Planes, coding: Coding) -> Pixels:
    """The planes as pixels (3, H, W) in [0, 1]."""
    import cv2

    height, width = planes[0].shape
    black, luma, chroma = coding.ranges
    ycc = np.zeros((3, height, width), np.float32)
    ycc[0] = (planes[0].astype(np.float32) - black) / luma
    for i, plane in enumerate(planes[1:], 1):
        size = (plane.shape[1] * coding.across, plane.shape[0] * coding.down)
        values = (plane.astype(np.float32) - 2 ** (coding.bits - 1)) / chroma
        large = values if size == values.shape[::-1] else cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        ycc[i] = large[:height, :width]
    inverse = np.linalg.inv(coding.to_ycc.astype(np.float64)).astype(np.float32)
    return np.clip(np.tensordot(inverse, ycc, 1), 0, 1).astype(np.float32)


def changed_planes(planes: Planes, coding: Coding, before: Pixels, after: Pixels) -> Planes:
    """The planes with the change from `before` to `after` (3, H, W) added; unchanged values stay as they are."""
    change = np.tensordot(coding.to_ycc, after - before, 1)
    _, luma, chroma = coding.ranges
    out = [added(planes[0], change[0] * luma, coding.bits)]
    for plane, part in zip(planes[1:], change[1:], strict=False):
        out.append(added(plane, block_mean(part, coding.down, coding.across, plane.shape) * chroma, coding.bits))
    return out


def added(plane: NDArray[Any], change: NDArray[np.float32], bits: int) -> NDArray[Any]:
    """A plane plus a change, rounded and clipped to its codes."""
    values = np.rint(plane.astype(np.float32) + change)
    coded: NDArray[Any] = np.clip(values, 0, 2**bits - 1).astype(plane.dtype)
    return coded


def block_mean(values: NDArray[np.float32], down: int, across: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Means of blocks; beyond the border the last values are repeated."""
    rows, columns = shape[0] * down - values.shape[0], shape[1] * across - values.shape[1]
    padded = np.pad(values, ((0, rows), (0, columns)), mode="edge")
    mean: NDArray[np.float32] = padded.reshape(shape[0], down, shape[1], across).mean((1, 3), dtype=np.float32)
    return mean


def upright(frame: av.VideoFrame, turns: int) -> av.VideoFrame:
    """A planar frame as it is shown, by the number of `VideoInfo.turns`; its values stay as they are.

    Chroma that is halved in one direction only is first made as large as luma.
    """
    frame = planar(frame)
    if not turns:
        return frame
    coding = coding_of(frame)
    if turns % 2 and coding.across != coding.down:
        deep = "10le" if coding.bits > 8 else ""
        large = frame.reformat(format=f"yuv444p{deep}")
        large.pts, large.time_base = frame.pts, frame.time_base
        frame = large
    turned = [np.rot90(plane, turns % 4) for plane in planes_of(frame)]
    return frame_of([plane[:, ::-1] for plane in turned] if turns >= 4 else turned, frame)


def frame_of(planes: Planes, like: av.VideoFrame) -> av.VideoFrame:
    """A frame with these planes, and with format, time and colour tags of `like`."""
    import av

    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, like.format.name)
    for plane, values in zip(frame.planes, planes, strict=False):
        lines = np.zeros((plane.height, plane.line_size), np.uint8)
        data = np.ascontiguousarray(values).view(np.uint8).reshape(plane.height, -1)
        lines[:, : data.shape[1]] = data
        plane.update(lines.tobytes())
    frame.pts, frame.time_base = like.pts, like.time_base
    frame.colorspace, frame.color_range = like.colorspace, like.color_range
    return frame
