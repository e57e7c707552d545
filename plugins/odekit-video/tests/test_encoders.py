"""Encoders of `odekit video` other than the default one: one scale of quality, their rates, formats and files."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import av
import numpy as np
import pytest
import typer.testing
from odekit_video.command import video
from odekit_video.formats import pixel_format
from odekit_video.job import VideoJob
from odekit_video.quality import KNOWN, quality_options, scale_of, steady_rate

from benchmarks import clips
from odekit.errors import ConfigError


@pytest.fixture
def run(quick):
    def started(source, output, codec=None, quality=None):
        job = VideoJob(source, output, codec=codec, quality=quality)
        job.check(False, True)
        return job.run(job.chain(quick, [], "auto"), 0, "cpu", "float32", lambda *progress: None)

    return started


def film(path, pts=None):
    """Six frames without faces, of different brightness, with some detail."""
    grain = np.random.Generator(np.random.Philox(0)).standard_normal((64, 96, 1)) * 0.05
    frames = np.stack([clips.background(96, 64) * (0.5 + 0.05 * n) + grain for n in range(6)])
    return clips.write(path, np.clip(frames, 0, 1), pts=pts)


def has(codec):
    try:
        av.Codec(codec, "w")
    except ValueError:
        return False
    return True


ENCODERS = [("libx265", "mp4"), ("libsvtav1", "mp4"), ("libvpx", "webm"), ("libvpx-vp9", "webm"), ("mpeg4", "mp4"), ("mpeg2video", "mkv"),
            ("mpeg1video", "mkv"), ("mjpeg", "mov")]  # fmt: skip
NO_SCALE = [("prores_ks", "mov"), ("dnxhd", "mov"), ("prores_ks", "mkv")]
"""Encoders of studios, whose packets the usual container of segments cannot hold."""


@pytest.mark.parametrize(("codec", "suffix"), ENCODERS)
def test_the_quality_counts_and_pictures_and_times_stay(tmp_path, run, codec, suffix):
    """A transport stream has times of 1/90000 s, which some encoders cannot state."""
    if not has(codec):
        pytest.skip(f"no {codec}")
    source = film(tmp_path / "in.ts")
    frames, times = clips.read(source)
    size, error = {}, {}
    for quality in (5, 17, 45):
        output = tmp_path / f"out{quality}.{suffix}"
        record = run(source, output, codec, quality)
        assert record["quality"] == quality and not record["notes"]
        after, new_times = clips.read(output)
        assert np.array(new_times) - new_times[0] == pytest.approx(np.array(times) - times[0], abs=1.1e-3)
        size[quality], error[quality] = output.stat().st_size, float(np.abs(after - frames).mean())
    assert size[5] > 1.05 * size[17] and size[17] > 1.05 * size[45] and error[5] < error[17] < error[45]
    assert error[5] < 0.02


SHORT = """
import sys, types
from odekit_video.encode import Encoding, SegmentWriter
from odekit_video.read import frames_from, probe
source, segment = sys.argv[1:]
for count in (1, 2, 3):
    frames = list(frames_from(source, None))[:count]
    writer = SegmentWriter(segment, Encoding.of("libx265", 17, probe(source)), frames[0], frames[0].pts)
    packets, container = [], writer.container
    writer.container = types.SimpleNamespace(mux=packets.append, close=container.close)
    for frame in frames:
        writer.add(frame)
    writer.close()
    print(*(packet.dts for packet in packets))
"""


SCHEDULED = """
import sys
from odekit_video.encode import Encoding, SegmentWriter
from odekit_video.read import frames_from, probe
from odekit_video.scheduling import real_time_threads
source, segment, codec = sys.argv[1:]
frames = list(frames_from(source, None))[:3]
writer = SegmentWriter(segment, Encoding.of(codec, 17, probe(source)), frames[0], frames[0].pts)
for frame in frames:
    writer.add(frame)
    print(real_time_threads())
writer.close()
print(real_time_threads())
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system has no list of threads")
@pytest.mark.parametrize("codec", ["libsvtav1", "libx265", "libx264"])
def test_no_encoder_takes_the_processors_for_itself(tmp_path, codec):
    """As root libsvtav1 makes its threads, and the caller's, real-time ones: everything else waits."""
    if not has(codec):
        pytest.skip(f"no {codec}")
    command = [sys.executable, "-c", SCHEDULED, str(film(tmp_path / "in.ts")), str(tmp_path / "segment"), codec]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.splitlines() == ["set()"] * 4, result.stderr


def test_short_segments_have_times_with_x265(tmp_path):
    """It takes decode times of one or two frames from memory that nobody has set; here the system fills that memory."""
    if not has("libx265"):
        pytest.skip("no libx265")
    command = [sys.executable, "-c", SHORT, str(film(tmp_path / "in.ts")), str(tmp_path / "segment")]
    result = subprocess.run(command, env=os.environ | {"MALLOC_PERTURB_": "85"}, capture_output=True, text=True)
    assert result.stdout.splitlines() == ["0", "0 3600", "-7200 -3600 0"], result.stderr


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video"])
def test_uneven_times_are_kept_by_encoders_that_need_a_steady_rate(tmp_path, run, codec, monkeypatch):
    from odekit_video import restore

    monkeypatch.setattr(restore, "SEGMENT", 4)
    stamps = [0, 900, 2100, 2900, 5000, 5100]
    source = film(tmp_path / "in.mkv", [25 * s for s in stamps])
    run(source, tmp_path / "out.mkv", codec)
    assert clips.read(tmp_path / "out.mkv")[1] == pytest.approx(clips.read(source)[1], abs=1.1e-3)


def test_a_quality_that_an_encoder_has_no_scale_for_is_refused(tmp_path, run):
    source = film(tmp_path / "in.mp4")
    with pytest.raises(ConfigError, match="--quality 20: ffv1 loses nothing; leave it out"):
        run(source, tmp_path / "out.mkv", "ffv1", 20)
    with pytest.raises(ConfigError, match=r"--quality 20: snow has no scale .* such as libx264"):
        run(source, tmp_path / "out.mkv", "snow", 20)
    record = run(source, tmp_path / "out.mkv", "snow")
    assert record["quality"] is None and "snow encodes with its own default quality" in record["notes"]
    assert not run(source, tmp_path / "out.mkv", "ffv1")["notes"]
    assert np.abs(clips.read(source)[0] - clips.read(tmp_path / "out.mkv")[0]).max() < 1 / 255


def test_encoders_that_are_named_have_a_scale():
    assert all(scale_of(name) for name in KNOWN.split(", ") if has(name))
    assert quality_options("libx264", 63) == {"crf": "51"}
    assert [quality_options("mpeg4", q)["qmin"] for q in (0, 17, 23, 63)] == ["1", "2", "4", "31"]


@pytest.mark.parametrize(("codec", "rate", "stated"), [("mpeg2video", "90000/3003", "30000/1001"), ("mpeg1video", "26", "25"), ("mpeg4", "90000/3003", "30000/1001"), ("mpeg4", "1000000", "65535"), ("mpeg4", "12.5", "25/2")])  # fmt: skip
def test_steady_rates(codec, rate, stated):
    from fractions import Fraction

    assert steady_rate(codec, Fraction(rate)) == Fraction(stated)


@pytest.mark.parametrize(("codec", "output"), [("rawvideo", "out.mkv"), ("h263", "out.mov"), ("vc2", "out.mp4")])
def test_what_encoder_or_file_refuse_is_one_line_before_any_work(tmp_path, quick, codec, output):
    source = film(tmp_path / "in.mp4")
    app = typer.Typer()
    app.command()(video)
    arguments = [quick, str(source), "-o", str(tmp_path / output), "--codec", codec]
    result = typer.testing.CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError), result.output
    assert f"--codec {codec}: frames of 96x64 cannot be written to" in str(result.exception)
    assert "finding faces" not in result.output and not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(("codec", "suffix"), NO_SCALE)
def test_what_studios_use_is_kept_in_parts_too(tmp_path, run, codec, suffix, monkeypatch):
    from odekit_video import restore

    monkeypatch.setattr(restore, "SEGMENT", 4)
    still = np.repeat(clips.background(256, 128)[None], 6, 0)
    source = clips.write(tmp_path / "in.mkv", still, pts=[25 * s for s in (0, 900, 2100, 2900, 5000, 5100)])
    notes = run(source, tmp_path / f"out.{suffix}", codec)["notes"]
    before, after = clips.read(source), clips.read(tmp_path / f"out.{suffix}")
    assert after[1] == pytest.approx(before[1], abs=1.1e-3)
    as_bt709 = any("players take its colours for BT.709 instead of BT.601" in note for note in notes)
    assert as_bt709 == (codec == "dnxhd")
    assert np.abs(after[0] - before[0]).mean() < (0.02 if as_bt709 else 0.01)


BT2020 = (9, 1)
DEEP = ("yuv420p10le", (96, 64), BT2020)
FULL = ("yuv444p", (95, 63), None)


@pytest.mark.parametrize(("film", "codec", "output", "format", "notes"), [
    (DEEP, "libx264", "out.mp4", "yuv420p10le", []),
    (DEEP, "ffv1", "out.mkv", "yuv420p10le", []),
    (DEEP, "mpeg4", "out.mkv", "yuv420p", ["with mpeg4, its 10 bits a colour become 8"]),
    (DEEP, "mpeg4", "out.mp4", "yuv420p", ["with mpeg4, its 10 bits a colour become 8", "players take its colours for BT.601 instead of BT.2020, since mpeg4 in .mp4 has no such tag"]),
    (FULL, "libx264", "out.mp4", "yuv444p", []),
    (FULL, "mpeg4", "out.mp4", "yuv420p", ["with mpeg4, its colours of 4:4:4 become 4:2:0"]),
])  # fmt: skip
def test_depth_sampling_and_tags_that_are_lost_are_told(tmp_path, run, film, codec, output, format, notes):
    kind, size, tags = film
    still = np.repeat(clips.background(*size)[None], 3, 0)
    source = clips.write(tmp_path / "in.mkv", still, format=kind, tags=tags)
    assert run(source, tmp_path / output, codec)["notes"] == notes
    with av.open(str(tmp_path / output)) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == format
    assert int(frame.colorspace) == (BT2020[0] if tags and "players" not in str(notes) else 2)


@pytest.mark.parametrize(("codec", "output", "format"), [("libx264", "out.mp4", "yuv444p"), ("libx264rgb", "out.mkv", "gbrp")])  # fmt: skip
def test_a_film_in_rgb_keeps_its_colours_and_it_is_told_how(tmp_path, run, codec, output, format):
    picture = np.empty((64, 96, 3), np.uint8)
    picture[:, :48], picture[:, 48:] = (170, 60, 40), (20, 90, 200)
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("libx264rgb", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    told = [] if format == "gbrp" else ["its RGB is coded as Y'CbCr (BT.601, 4:4:4)"]
    assert run(tmp_path / "in.mkv", tmp_path / output, codec)["notes"] == told
    with av.open(str(tmp_path / output)) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == format
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture)[:, [20, 70]].mean() < 3


@pytest.mark.parametrize(("kind", "taken", "nearest"), [
    ("yuv422p10le", ["yuv420p10le", "yuv444p"], "yuv444p"), ("yuv420p12le", ["yuv420p", "yuv420p10le"], "yuv420p10le"),
    ("yuv420p", ["gray", "yuv422p", "yuv444p"], "yuv422p"), ("yuv444p", ["gbrp", "yuv420p"], "yuv420p"),
    ("gray", ["yuv420p", "yuv444p"], "yuv420p"), ("yuv411p", ["yuv420p", "yuv422p"], "yuv422p"),
    ("yuv420p", ["yuva420p", "nv12", "yuv420p"], "yuv420p"), ("yuvj420p", ["yuv420p", "yuvj420p"], "yuvj420p"),
])  # fmt: skip
def test_the_nearest_format_is_taken(kind, taken, nearest):
    codec = types.SimpleNamespace(name="some", video_formats=[av.VideoFormat(name) for name in taken])
    assert pixel_format(codec, av.VideoFrame(96, 64, kind)) == nearest


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1"])
def test_encoders_with_a_log_of_their_own_are_quiet(tmp_path, run, codec, capfd):
    if not has(codec):
        pytest.skip(f"no {codec}")
    run(film(tmp_path / "in.mp4"), tmp_path / "out.mp4", codec)
    seen = capfd.readouterr()
    assert "x265" not in seen.err + seen.out and "Svt" not in seen.err + seen.out
