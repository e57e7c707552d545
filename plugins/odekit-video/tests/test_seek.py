"""Frames in the middle of a file are those that were asked for, also where the file has no index."""

from __future__ import annotations

import av
import numpy as np
import pytest
from odekit_video import read
from odekit_video.decide import sample_image
from odekit_video.find import frame_pixels
from odekit_video.plan import Plan
from odekit_video.read import frames_at, frames_from, probe

from benchmarks import clips


def film(path, gop, count=30, rate=25):
    """Frames that differ, with one that can be decoded alone every `gop`."""
    still = (clips.background(96, 64) * 255).astype(np.uint8)
    with av.open(str(path), "w", format="vob" if path.suffix == ".mpg" else None) as container:
        codec, more = ("mpeg2video", {}) if path.suffix == ".mpg" else ("libx264", {"sc_threshold": "0"})
        stream = container.add_stream(codec, rate=rate, options={"g": str(gop)} | more)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for n in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(still, 3 * n, 1), "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("gop", [12, 300])
@pytest.mark.parametrize("suffix", ["ts", "mpg", "mp4", "mkv"])
def test_every_frame_is_found_by_its_time(tmp_path, suffix, gop):
    source = film(tmp_path / f"film.{suffix}", gop)
    frames = {frame.pts: frame_pixels(frame, 0) for frame in frames_from(source, None)}
    plan = Plan(pts=list(frames), shots=[0], faces=[[] for _ in frames])
    assert len(frames) == 30
    for number, (stamp, pixels) in enumerate(frames.items()):
        assert [frame.pts for frame in frames_at(source, [stamp])] == [stamp]
        image = sample_image(source, probe(source), plan, "film", number)
        assert image is not None and np.array_equal(image.pixels, pixels)
    assert [frame.pts for frame in frames_at(source, plan.pts[5:27])] == plan.pts[5:27]


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_a_late_part_is_not_read_from_the_start(tmp_path, suffix, monkeypatch):
    source, count = film(tmp_path / f"film.{suffix}", 25, 1500), [0]
    stamps = [frame.pts for frame in frames_from(source, None)]

    def counted(*arguments):
        for frame in decoded(*arguments):
            count[0] += 1
            yield frame

    decoded = read.decoded
    monkeypatch.setattr(read, "decoded", counted)
    assert len(list(frames_at(source, stamps[-60:]))) == 60
    assert count[0] < 200
