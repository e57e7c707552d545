"""`odekit video` on whole clips: no flicker, times, other streams, formats, resume, damaged and odd files."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
from odekit_video import restore, sessions
from odekit_video.colour import planes_of
from odekit_video.job import VideoJob
from odekit_video.preview import check_sheet
from odekit_video.read import probe
from odekit_video.report import line_of

from benchmarks import clips
from odekit.chains.chain import Chain
from odekit.core.image import Image
from odekit.errors import ConfigError, InputError, OutputError, Stopped
from odekit.parts.repair import deblock

EACH = """\
- restore:
    first: {use: blind, steps: 6}
    inverter: {use: ode, solver: dpmpp-2m, steps: 11, top: 0.354}
    enhancer: {use: langevin, iterations: auto, strength: given}
"""
"""Six calls a face instead of 23, and no upsampler; the prior is the one of the package."""


@pytest.fixture
def chain(faces_chain):
    return faces_chain(EACH)


def quiet(phase, done, total):
    """No progress."""


def run(source, output, chain, span=(0, None), settings=(), tell=quiet, **more):
    job = VideoJob(source, output, span)
    job.check(more.pop("resume", False), more.pop("overwrite", False))
    return job.run(job.chain(chain, list(settings), "auto"), 0, "cpu", "float32", tell, **more)


def face_region(frames):
    height, width = frames.shape[1:3]
    return frames[:, height // 2 - 35 : height // 2 + 35, width // 2 - 30 : width // 2 + 30]


def psnr(one, two):
    return float(-10 * np.log10(np.mean((one - two) ** 2)))


def packets(path, kind):
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (hashlib.md5(bytes(p)).hexdigest(), float(p.pts * p.time_base)) for p in container.demux(stream) if p.size
        ]


def test_a_still_face_in_noise_does_not_flicker_and_is_nearer_to_the_truth(tmp_path, chain):
    clean = clips.clip(12)
    source = clips.write(tmp_path / "still.mp4", clips.clip(12, noise=0.1), audio=True)
    record = run(source, tmp_path / "out.mp4", chain)
    before, times = clips.read(source)
    after, new_times = clips.read(tmp_path / "out.mp4")
    assert record["tracks"] == [{"track": 1, "first": 0, "last": 11, "decided": {"restore": True}}]
    assert face_region(after).std(0).mean() <= 0.4 * face_region(before).std(0).mean()
    assert psnr(face_region(after), face_region(clean)) > psnr(face_region(before), face_region(clean)) + 3
    assert new_times == times
    assert packets(tmp_path / "out.mp4", "audio") == packets(source, "audio")
    assert "1 face, 1 restored, 0 left" in line_of(record)
    assert json.loads((tmp_path / "out.mp4.json").read_text())["sha256"] == record["sha256"]
    assert not (tmp_path / "out.mp4.parts").exists()


def test_a_moving_face_leaves_no_ghost(tmp_path, chain):
    settings = {"speed": 4.0, "width": 360, "seed": 2}
    source = clips.write(tmp_path / "moving.mp4", clips.clip(12, noise=0.1, **settings))
    run(source, tmp_path / "out.mp4", chain)
    clean, before, after = clips.clip(12, **settings), clips.read(source)[0], clips.read(tmp_path / "out.mp4")[0]
    for n in (1, 6, 10):
        assert psnr(after[n], clean[n]) > psnr(before[n], clean[n])


def passed(frames, wide=110):
    """The frames with something grey that passes before the face from left to right, and its columns in each."""
    count, height, width = frames.shape[:3]
    lefts = [round(width / 2 - 130 - wide / 2 + 260 * n / (count - 1)) for n in range(count)]
    spans = [(max(0, left), min(width, left + wide)) for left in lefts]
    out = frames.copy()
    for n, (low, high) in enumerate(spans):
        out[n, :, low:high] = 0.3 + 0.1 * np.sin(np.arange(height) / 9)[:, None, None]
    return out, spans


def test_a_face_that_something_passes_stays_restored_where_it_is_seen(tmp_path, chain):
    """In ten frames the detector sees no face. It is restored in them, and what hides it is no worse than it was."""
    count, seen = 40, 0
    clean, spans = passed(clips.clip(count))
    noise = 0.1 * np.random.default_rng(4).standard_normal(clean.shape, dtype=np.float32)
    source = clips.write(tmp_path / "passed.mp4", np.clip(clean + noise, 0, 1))
    record = run(source, tmp_path / "out.mp4", chain)
    assert [(track["first"], track["last"]) for track in record["tracks"]] == [(0, count - 1)]
    before, after = clips.read(source)[0], clips.read(tmp_path / "out.mp4")[0]
    for n, (low, high) in enumerate(spans):
        columns = np.arange(clean.shape[2])
        face, thing = abs(columns - 160) < 28, (columns > low + 4) & (columns < high - 4)
        face &= (columns < low - 4) | (columns > high + 4)
        if face.sum() > 12:
            seen += 1
            assert (
                psnr(after[n, 85:155, face], clean[n, 85:155, face])
                > psnr(before[n, 85:155, face], clean[n, 85:155, face]) + 1.5
            ), n
        assert (
            psnr(after[n, 85:155, thing], clean[n, 85:155, thing])
            > psnr(before[n, 85:155, thing], clean[n, 85:155, thing]) - 0.1
        ), n
    assert seen > 25


GUIDED = """\
odekit: 1
name: guided
chain:
  - faces:
      detect: builtin
      each:
        - upsample: {use: face-guided, act: always}
"""


@pytest.mark.parametrize("speed", [0.0, 3.0])
def test_a_blurred_face_that_is_treated_flickers_less_than_in_the_input(tmp_path, speed, monkeypatch):
    """Blurred and compressed anew in each frame; the upsampler alone makes its noise stronger."""
    (tmp_path / "guided.yaml").write_text(GUIDED)
    clean = clips.clip(24, speed=speed, width=360)
    source = clips.write(tmp_path / "film.mp4", clips.damaged(clean, 1.5, 0.02, 30))
    run(source, tmp_path / "out.mp4", str(tmp_path / "guided.yaml"))
    before, after = clips.read(source)[0], clips.read(tmp_path / "out.mp4")[0]
    if not speed:
        assert face_region(after).std(0).mean() <= 0.4 * face_region(before).std(0).mean()
    monkeypatch.setattr(restore, "averaged", lambda pixels, *more: pixels)
    run(source, tmp_path / "alone.mp4", str(tmp_path / "guided.yaml"))
    alone = clips.read(tmp_path / "alone.mp4")[0]
    for n in (2, 12, 20):  # of less noise the upsampler makes a sharper face, which may be further from the truth
        assert psnr(after[n], clean[n]) > psnr(alone[n], clean[n]) - 0.5


def test_the_quality_of_compression_is_estimated_once_for_a_shot(tmp_path, chain, monkeypatch):
    """An estimate for each frame costs a tenth of a second, and differs from frame to frame."""
    mending = tmp_path / "mending.yaml"
    mending.write_text(
        Path(chain).read_text().replace("chain:\n", "chain:\n  - mend: {blocks: true, scratches: false}\n")
    )
    source = clips.write(tmp_path / "film.mp4", clips.damaged(clips.clip(9), 0.5, 0.01, 25))
    estimates = []
    estimate = deblock.estimate_quality
    monkeypatch.setattr(deblock, "estimate_quality", lambda *a: estimates.append(estimate(*a)) or estimates[-1])
    used = []
    remove = deblock.remove_blocks
    monkeypatch.setattr(deblock, "remove_blocks", lambda image, at, q: used.append(q) or remove(image, at, q))
    run(source, tmp_path / "out.mp4", str(mending))
    assert len(estimates) == 3 and len(used) == 3 + 9  # three frames of the shot tell what is done with all
    assert len(set(used[3:])) == 1


def test_small_faces_are_followed_as_if_all_frames_were_searched_for_them(tmp_path, chain, monkeypatch):
    from odekit_video import find

    source = clips.write(tmp_path / "film.mp4", clips.clip(13, side=60, faces=2, noise=0.02))
    plans = []
    for block in (6, 1):
        monkeypatch.setattr(find, "BLOCK", block)
        plans.append(
            find.find(source, probe(source), VideoJob(source, tmp_path / "o.mp4").chain(chain, [], "auto"), quiet)
        )
    assert plans[0].faces == plans[1].faces and len(plans[0].faces[0]) == 2


def test_a_good_face_is_left_and_the_line_says_so(tmp_path, chain):
    source = clips.write(tmp_path / "good.mp4", clips.clip(8))
    record = run(source, tmp_path / "out.mp4", chain)
    assert [track["decided"] for track in record["tracks"]] == [{"restore": False}]
    assert "1 face, 0 restored, 1 left" in line_of(record)
    assert psnr(clips.read(source)[0], clips.read(tmp_path / "out.mp4")[0]) > 38


def test_frames_without_a_face_stay_and_it_is_said(tmp_path, chain):
    source = clips.write(tmp_path / "empty.mp4", np.repeat(clips.background(160, 120)[None], 5, 0))
    record = run(source, tmp_path / "out.mp4", chain)
    assert record["tracks"] == [] and "no faces found" in line_of(record)


def test_variable_frame_times_are_kept(tmp_path, chain):
    stamps = [0, 900, 2100, 2900, 5000, 5100, 8000, 8700]
    source = clips.write(tmp_path / "film.mkv", clips.clip(8), pts=[25 * s for s in stamps])
    run(source, tmp_path / "out.mkv", chain)
    assert clips.read(tmp_path / "out.mkv")[1] == clips.read(source)[1]
    run(source, tmp_path / "out.mp4", chain)
    assert clips.read(tmp_path / "out.mp4")[1] == pytest.approx([s / 1000 for s in stamps], abs=1.1e-3)


@pytest.mark.parametrize(("format", "size"), [("yuv420p10le", (160, 120)), ("yuv444p", (161, 121)), ("yuv422p", (160, 120))])  # fmt: skip
def test_depth_sampling_and_odd_sizes_are_kept(tmp_path, chain, format, size):
    frames = clips.clip(5, *size, side=100, noise=0.1)
    source = clips.write(tmp_path / "deep.mkv", frames, format=format, tags=(9, 1))
    run(source, tmp_path / "out.mkv", chain)
    with av.open(str(tmp_path / "out.mkv")) as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, frame.width, frame.height) == (format, *size)
        assert (int(frame.colorspace), int(frame.color_range)) == (9, 1)


def turned(path, out):
    """A copy of an MP4 whose header tells players to turn it by a quarter clockwise."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    matrix = at + 40 if data[at] == 0 else at + 52
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    out.write_bytes(data)
    return out


@pytest.mark.parametrize(("codec", "format"), [("libx264rgb", "rgb24"), ("ffv1", "bgr0"), ("png", "rgba")])
def test_colours_of_rgb_videos_are_kept(tmp_path, chain, codec, format):
    """Their frames become Y'CbCr; the tag of the source would make players take these for green, blue and red."""
    picture = np.empty((96, 128, 3), np.uint8)
    picture[:] = (170, 60, 40)
    picture[:, 64:] = (20, 90, 200)
    source = tmp_path / ("screen.mov" if codec == "png" else "screen.mkv")
    with av.open(str(source), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, format
        for n in range(3):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=format)
            frame.pts = n
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    run(source, tmp_path / "out.mp4", chain)
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert int(frame.colorspace) == 6 and int(frame.color_range) == 1  # BT.601, limited range
    shown = frame.to_ndarray(format="rgb24").astype(int)
    assert np.abs(shown - picture)[:, [20, 100]].mean() < 3


def test_a_turned_video_is_restored_upright(tmp_path, chain):
    frames = clips.clip(8, 160, 220, side=120, noise=0.1)
    lying = clips.write(tmp_path / "lying.mp4", np.ascontiguousarray(np.rot90(frames, 1, (1, 2))))
    source = turned(lying, tmp_path / "turned.mp4")
    record = run(source, tmp_path / "out.mp4", chain)
    after = clips.read(tmp_path / "out.mp4")[0]
    assert record["size"] == [160, 220] and after.shape[1:3] == (220, 160)
    assert len(record["tracks"]) == 1 and record["tracks"][0]["decided"] == {"restore": True}
    clean = clips.clip(8, 160, 220, side=120)
    assert psnr(face_region(after), face_region(clean)) > psnr(face_region(frames), face_region(clean)) + 3


def shown_for(path):
    """Duration in seconds of each frame, in order of their times, and the length of the stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        lengths = {p.pts: float(p.duration * p.time_base) for p in container.demux(stream) if p.size}
        whole = float(stream.duration * stream.time_base) if stream.duration else float(container.duration) / 1e6
        return [lengths[time] for time in sorted(lengths)], whole


@pytest.mark.parametrize("span", [(0, None), (0, 4), (5, 9)])
def test_each_frame_is_shown_until_the_next_and_the_clip_is_no_longer(tmp_path, chain, span, monkeypatch):
    monkeypatch.setattr(restore, "SEGMENT", 5)
    source = clips.write(tmp_path / "film.mp4", clips.clip(12), rate=10)
    run(source, tmp_path / "out.mp4", chain, span)
    count = (span[1] or 12) - span[0]
    lengths, whole = shown_for(tmp_path / "out.mp4")
    assert lengths == pytest.approx([0.1] * count, abs=1e-3) and whole == pytest.approx(0.1 * count, abs=0.01)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(10, rel=0.01)


def test_some_frames_only(tmp_path, chain):
    source = clips.write(tmp_path / "long.mp4", clips.clip(10), audio=True)
    run(source, tmp_path / "out.mp4", chain, span=(3, 7))
    frames, times = clips.read(tmp_path / "out.mp4")
    assert len(frames) == 4 and times == pytest.approx([0, 0.04, 0.08, 0.12])
    assert [(t["first"], t["last"]) for t in json.loads((tmp_path / "out.mp4.json").read_text())["tracks"]] == [(3, 6)]
    sound = packets(tmp_path / "out.mp4", "audio")
    assert all(-0.03 < time < 0.16 for _, time in sound) and {m for m, _ in sound} <= {
        m for m, _ in packets(source, "audio")
    }
    with pytest.raises(InputError, match="has 10 frames"):
        run(source, tmp_path / "late.mp4", chain, span=(20, None))


def test_an_interrupted_run_goes_on_where_it_was_with_the_same_frames(tmp_path, chain, monkeypatch):
    """x264 may write other bytes for the same frames, so those that it is given are compared."""
    given = {}

    class Noting(restore.SegmentWriter):
        def add(self, frame):
            given[frame.pts] = b"".join(plane.tobytes() for plane in planes_of(frame))
            super().add(frame)

    monkeypatch.setattr(restore, "SEGMENT", 4)
    monkeypatch.setattr(restore, "SegmentWriter", Noting)
    source = clips.write(tmp_path / "film.mp4", clips.clip(12, noise=0.1))
    run(source, tmp_path / "whole.mp4", chain)
    whole = dict(given)
    given.clear()

    def stop(phase, done, total):
        if phase == "restoring" and done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.mp4", chain, tell=stop)
    assert not (tmp_path / "out.mp4").exists()
    finished = sorted(path.name for path in (tmp_path / "out.mp4.parts").glob("*.nut"))
    assert finished[0] == "segment-0000000.nut" and len(finished) < 3
    with pytest.raises(OutputError, match="unfinished run left: --resume"):
        run(source, tmp_path / "out.mp4", chain)
    phases = []
    run(source, tmp_path / "out.mp4", chain, resume=True, tell=lambda phase, done, total: phases.append(phase))
    assert "finding faces" not in phases
    assert given == whole and len(given) == 12
    assert clips.read(tmp_path / "out.mp4")[1] == clips.read(tmp_path / "whole.mp4")[1]


def test_sessions_whose_results_nobody_waits_for_end_at_the_next_network_call(chain):
    held = sessions.Sessions(Chain.load(chain), 0, "cpu", "float32")
    frame = Image(np.ascontiguousarray(clips.clip(1)[0].transpose(2, 0, 1)))
    held.abandoned.set()
    with held.one() as session, pytest.raises(Stopped):
        session.run([frame])


def test_another_video_or_chain_is_not_resumed(tmp_path, chain):
    source = clips.write(tmp_path / "film.mp4", clips.clip(6))

    def stop(phase, done, total):
        if phase == "restoring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.mp4", chain, tell=stop)
    with pytest.raises(InputError, match="another chain"):
        run(source, tmp_path / "out.mp4", chain, resume=True, settings=["faces.paste.blend=0.5"])
    clips.write(source, clips.clip(6, seed=3))
    with pytest.raises(InputError, match="another video"):
        run(source, tmp_path / "out.mp4", chain, resume=True)
    run(source, tmp_path / "out.mp4", chain, overwrite=True)


def test_a_damaged_part_in_the_middle_is_skipped_and_told(tmp_path, chain):
    source = clips.write(tmp_path / "film.mkv", clips.clip(12, noise=0.1))
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 6000] = bytes(6000)
    source.write_bytes(data)
    record = run(source, tmp_path / "out.mkv", chain)
    assert record["frames"] < 12 or record["packets_damaged"]
    assert "damaged" in line_of(record)
    assert len(clips.read(tmp_path / "out.mkv")[0]) == record["frames"]


@pytest.mark.parametrize("content", [b"", b"<html>no film</html>", bytes(100_000)])
def test_what_is_no_video_is_one_line(tmp_path, chain, content):
    source = tmp_path / "film.mp4"
    source.write_bytes(content)
    with pytest.raises(InputError, match=r"not a video that can be read \([^\[]*\)$"):  # no number of an error
        run(source, tmp_path / "out.mp4", chain)
    assert not (tmp_path / "out.mp4.parts").exists()


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_picture_is_no_video(tmp_path, chain, kind):
    PIL.Image.fromarray((255 * clips.clip(1)[0]).astype(np.uint8)).save(tmp_path / f"film.{kind}")
    with pytest.raises(InputError, match="a picture, not a video; use odekit run"):
        run(tmp_path / f"film.{kind}", tmp_path / "out.mp4", chain)
    assert not (tmp_path / "out.mp4.parts").exists()


def test_sound_alone_is_no_video(tmp_path, chain):
    film = clips.write(tmp_path / "film.mp4", clips.clip(3), audio=True)
    with av.open(str(film)) as original, av.open(str(tmp_path / "sound.mp4"), "w") as target:
        stream = target.add_stream_from_template(original.streams.audio[0])
        for packet in original.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(InputError, match="there is no video in it"):
        run(tmp_path / "sound.mp4", tmp_path / "out.mp4", chain)


def test_a_file_that_grows_is_refused(tmp_path, chain):
    source = clips.write(tmp_path / "film.mkv", clips.clip(6))

    def grow(phase, done, total):
        if phase == "finding faces" and done == 3:
            with source.open("ab") as file:
                file.write(bytes(64))

    with pytest.raises(InputError, match="changed while it was read"):
        run(source, tmp_path / "out.mkv", chain, tell=grow)
    assert not (tmp_path / "out.mkv").exists()


def test_nothing_of_others_is_overwritten(tmp_path, chain):
    source = clips.write(tmp_path / "film.mp4", clips.clip(3))
    (tmp_path / "out.mp4").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite replaces it"):
        run(source, tmp_path / "out.mp4", chain)
    with pytest.raises(InputError, match="is the input"):
        VideoJob(source, source).check(False, True)
    with pytest.raises(OutputError, match="there is no folder"):
        VideoJob(source, tmp_path / "none" / "out.mp4").check(False, False)


def test_a_chain_without_faces_or_with_larger_results_is_refused(tmp_path, chain):
    source = clips.write(tmp_path / "film.mp4", clips.clip(3))
    with pytest.raises(ConfigError, match="no stage 'faces'"):
        run(source, tmp_path / "out.mp4", "odedit-auto")
    with pytest.raises(ConfigError, match="a video keeps its size"):
        run(source, tmp_path / "out.mp4", chain, settings=["faces.paste.upscale=2"], overwrite=True)


def test_a_frame_that_cannot_be_restored_stays_and_is_told(tmp_path, chain, monkeypatch):
    from odekit.chains.session import Session

    source = clips.write(tmp_path / "film.mp4", clips.clip(4, noise=0.1))
    restored = Session.run

    def failing(self, images, *more):
        results = restored(self, images, *more)
        if len(results) == 4:
            results[1].error = InputError("made to fail")
        return results

    monkeypatch.setattr(Session, "run", failing)
    monkeypatch.setattr(sessions, "thread_count", lambda: 1)
    record = run(source, tmp_path / "out.mp4", chain)
    assert record["failed"] == [{"frame": 1, "reason": "made to fail"}]
    assert "1 frame kept as they were (made to fail)" in line_of(record)
    assert len(clips.read(tmp_path / "out.mp4")[0]) == 4


def test_the_command_and_its_contact_sheet(tmp_path, chain, monkeypatch, capsys):
    import PIL.Image
    import typer.testing
    from odekit_video.command import video

    app = typer.Typer()
    app.command()(video)
    source = clips.write(tmp_path / "film.mp4", clips.clip(6, noise=0.1))
    arguments = [chain, str(source), "-o", str(tmp_path / "out.mp4"), "--preview", str(tmp_path / "sheet.png")]
    finished = typer.testing.CliRunner().invoke(app, arguments)
    assert finished.exit_code == 0, finished.output
    assert "6 frames, 1 shot; 1 face, 1 restored, 0 left" in finished.output.replace("\n", " ")
    assert PIL.Image.open(tmp_path / "sheet.png").size == (5 * 320, 2 * 240)


@pytest.mark.parametrize(
    ("output", "codec", "message"),
    [("o.mp4", "aac", "encodes audio"), ("o.webm", "libx264", "webm files cannot hold it"), ("o.mp4", "gif", "mp4 files"),
     ("o.mp4", "prores_ks", "mp4 files"), ("o.mp4", "nothing", "cannot encode it")],
)  # fmt: skip
def test_an_encoder_that_cannot_write_the_file_is_refused_before_any_work(tmp_path, output, codec, message):
    with pytest.raises(ConfigError, match=message):
        VideoJob(tmp_path / "film.mp4", tmp_path / output, codec=codec)


def test_a_sheet_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    for name, kind in (("s.txt", ConfigError), ("no/s.png", OutputError), ("mine.png", OutputError)):
        with pytest.raises(kind, match="--preview"):
            check_sheet(tmp_path / name, overwrite=False)
    check_sheet(tmp_path / "mine.png", overwrite=True)


def test_the_sheet_of_some_frames_shows_these_before_and_after(tmp_path, chain):
    """Frames that differ in brightness, so that a sheet of other frames would not match."""
    grey = np.stack([np.full((96, 128, 3), 0.05 * n, np.float32) for n in range(16)])
    source = clips.write(tmp_path / "film.mp4", grey)
    run(source, tmp_path / "out.mp4", chain, span=(10, 14), preview=tmp_path / "sheet.png")
    sheet = np.asarray(PIL.Image.open(tmp_path / "sheet.png")).astype(float)
    before, after = sheet[: len(sheet) // 2].mean(2), sheet[len(sheet) // 2 :].mean(2)
    assert np.abs(before.mean(0) - after.mean(0)).max() < 3 and after.mean() > 120


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_rate_of_the_file_is_that_of_the_frames_and_a_late_start_is_no_damage(tmp_path, chain, suffix):
    grey = np.full((6, 96, 128, 3), 0.4, np.float32)
    with av.open(str(tmp_path / "late.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for n, picture in enumerate(grey):
            frame = av.VideoFrame.from_ndarray((picture * 255).astype(np.uint8), "rgb24")
            frame.pts = n + 125
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    record = run(tmp_path / "late.mkv", tmp_path / f"out{suffix}", chain)
    assert not any("it ends after" in note for note in record["notes"])
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert abs(float(container.streams.video[0].average_rate) - 25) < 1


def test_a_finished_video_is_not_made_again_and_two_runs_do_not_write_one_output(tmp_path, chain):
    from odekit.core.files import exclusive

    source = clips.write(tmp_path / "film.mp4", clips.clip(3))
    run(source, tmp_path / "out.mp4", chain)
    with pytest.raises(OutputError, match="is there already"):
        run(source, tmp_path / "out.mp4", chain, resume=True)
    (tmp_path / "other.mp4.parts").mkdir()
    with exclusive(tmp_path / "other.mp4.parts" / "lock"):
        with pytest.raises(OutputError, match="another run is writing it"):
            run(source, tmp_path / "other.mp4", chain, resume=True)
        with pytest.raises(OutputError, match="another run is writing it"):
            run(source, tmp_path / "other.mp4", chain, overwrite=True)


def test_what_ends_before_the_faces_are_found_leaves_nothing(tmp_path, chain):
    source = clips.write(tmp_path / "film.mp4", clips.clip(4))

    def stop(phase, done, total):
        if phase == "finding faces" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.mp4", chain, tell=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "quick.yaml"]


def test_a_video_that_is_damaged_near_a_later_segment_is_whole(tmp_path, chain, monkeypatch):
    """Decoding from the middle finds other frames than decoding from the start; the frames of the first pass count."""
    monkeypatch.setattr(restore, "SEGMENT", 4)
    source = clips.write(tmp_path / "film.mkv", clips.clip(16, noise=0.1))
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    source.write_bytes(data)
    record = run(source, tmp_path / "out.mkv", chain)
    assert len(clips.read(tmp_path / "out.mkv")[0]) == record["frames"]


@pytest.mark.long
def test_memory_does_not_grow_with_the_length(tmp_path, chain):
    """Resident memory in each phase of 3,000 frames, after 600 of them and at its end."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("reads /proc")
    seen = {}

    def note(phase, done, total):
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        seen.setdefault(phase, {})[done] = int(line.split()[1]) / 1024

    still = clips.clip(1, 160, 120, side=100)
    source = clips.write(tmp_path / "long.mp4", np.broadcast_to(still, (3000, *still.shape[1:])))
    run(source, tmp_path / "out.mp4", chain, tell=note)
    for phase in ("finding faces", "restoring"):
        assert seen[phase][3000] < seen[phase][600] + 60
