"""Large photographs in flight are counted by their pixels: few at once, in order, none lost."""

import json
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Pil

from odekit.runs import pipeline
from odekit.runs.engine import Engine
from odekit.runs.inputs import Job
from odekit.runs.pipeline import PrefetchQueue
from odekit.runs.probe import MIN_PROBED_BYTES, probe


def rough(path, width, height, seed=0):
    """A picture that does not compress."""
    rng = np.random.default_rng(seed)
    Pil.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return str(path)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "in").mkdir()
    return [rough(tmp_path / "in" / f"{i}.png", 200, 160, i) for i in range(5)]


@pytest.fixture
def small(monkeypatch):
    """A photograph of 200 x 160 fills the room by two thirds."""
    monkeypatch.setattr(pipeline, "MAX_PIXELS", 48_000)


def test_the_pixels_of_a_file_are_those_of_its_header(tmp_path):
    assert probe(rough(tmp_path / "a.png", 300, 200)).pixels == 60_000
    assert probe(rough(tmp_path / "b.bmp", 300, 200)).pixels == 60_000


def test_small_files_and_what_is_no_picture_count_nothing(tmp_path):
    assert probe(rough(tmp_path / "a.png", 20, 20)).pixels == 0
    (tmp_path / "b.jpg").write_bytes(b"no picture" * 10_000)
    assert probe(str(tmp_path / "b.jpg")).pixels == probe(str(tmp_path / "not.there")).pixels == 0


def test_a_picture_of_24_megapixels_is_never_a_light_file(tmp_path):
    for name in ("a.png", "a.jpg"):
        Pil.new("RGB", (6000, 4000)).save(tmp_path / name, quality=5)
        assert (tmp_path / name).stat().st_size >= MIN_PROBED_BYTES


def test_jobs_are_read_in_order_within_the_memory_limit_and_at_least_one(files, small):
    waiting = PrefetchQueue(Job(file, f"{i}.png") for i, file in enumerate(files))
    assert [job.name for job, _ in waiting.next(9, prefetched=0)] == ["0.png"]
    assert list(waiting.next(9, prefetched=40_000)) == []
    assert [job.name for job, _ in waiting.next(9, prefetched=10_000)] == ["1.png"]


def test_as_many_as_asked_where_they_are_small(tmp_path):
    waiting = PrefetchQueue(Job(rough(tmp_path / f"{i}.png", 9, 9), str(i)) for i in range(9))
    assert [job.name for job, _ in waiting.next(4, prefetched=0)] == ["0", "1", "2", "3"]
    assert len(list(waiting.next(9, prefetched=10**9))) == 0


def run(cli, tmp_path, name, *options):
    chain = tmp_path / "c.yaml"
    chain.write_text("odekit: 1\nchain: [{upsample: {use: resize, scale: 0.5}}]\n")
    done = cli("run", chain, tmp_path / "in", "-o", tmp_path / name, *options)
    assert done.code == 0
    return {p.name: p.read_bytes() for p in sorted((tmp_path / name).glob("*.png"))}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_takes_few_at_a_time_and_gives_the_same(cli, tmp_path, files, monkeypatch, workers):
    took = []
    whole = Engine.run
    monkeypatch.setattr(Engine, "run", lambda self, images: took.append(len(images)) or whole(self, images))
    usual = run(cli, tmp_path, "usual", "--workers", workers)
    assert took == [5]
    monkeypatch.setattr(pipeline, "MAX_PIXELS", 48_000)
    assert run(cli, tmp_path, "few", "--workers", workers) == usual and len(usual) == 5
    assert took == [5, 2, 2, 1]
    assert json.loads((tmp_path / "few" / "0.png.json").read_text())["slots"] == 5


@pytest.mark.parametrize("workers", [0, 3])
def test_queued_images_stay_below_the_memory_limit(files, small, monkeypatch, workers):
    """Of photographs of 32,000 pixels, a room of 48,000 holds one that is read ahead and one that is being written."""
    from odekit.runs.pipeline import Pipeline

    nothing = lambda *of: None  # noqa: E731
    accounts = SimpleNamespace(progress=SimpleNamespace(phase=nothing), noted=nothing, failed=nothing)
    options = SimpleNamespace(max_megapixels=100.0, salvage=False)
    from odekit.runs.sources import LocalFiles

    book = SimpleNamespace(
        options=options, source=LocalFiles(), output=SimpleNamespace(format="png"), with_files=lambda file, read: read
    )
    flow = Pipeline(Engine(Slots()), Count(workers), accounts, book)  # type: ignore[arg-type]
    flow.unread = PrefetchQueue(Job(file, f"{i}.png") for i, file in enumerate(files))
    batch = flow._next_batch()
    assert len(batch) == 2
    assert len(flow.reading) <= 1


class Slots:
    batch_size = 8
    window = 8


class Count:
    """Workers that work at once."""

    def __init__(self, count):
        self.count = count

    def submit(self, function, *args, isolate=False):
        done = Future()
        done.set_result(function(*args))
        return done
