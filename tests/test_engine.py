"""Batches where memory runs out: halved, then skipped, each result saying so."""

import numpy as np
import pytest

from odekit.core.image import Image
from odekit.core.result import Result
from odekit.runs.engine import Engine


def images(count, side=4):
    return [Image(np.full((3, side, side), i / 10, np.float32)) for i in range(count)]


class Small:
    """A session whose memory holds batches of `room` rows, and of large pictures none."""

    def __init__(self, batch_size, room, error=MemoryError):
        self.batch_size, self.room, self.error = batch_size, room, error
        self.tried = []

    @property
    def window(self):
        return self.batch_size

    fill = None

    def run(self, pictures):
        self.tried.append((self.batch_size, len(pictures)))
        if self.batch_size > self.room or any(p.width > 4 for p in pictures):
            raise self.error("CUDA out of memory. Tried to allocate")
        return [Result(p, p, {"stages": []}) for p in pictures]


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_the_batch_is_halved_until_it_fits_and_stays_so(error):
    said = []
    engine = Engine(Small(8, 2, error), said.append)
    results = engine.run(images(8))
    assert [r.image.pixels[0, 0, 0] for r in results] == pytest.approx([i / 10 for i in range(8)])
    assert {r.record["slots"] for r in results} == {2}
    assert said == [
        "out of memory: the batch size is now 4 instead of 8",
        "out of memory: the batch size is now 2 instead of 4",
    ]
    engine.run(images(2))
    assert engine.session.tried[-1] == (2, 2)


def test_a_picture_that_does_not_fit_alone_fails_and_the_rest_goes_on_with_all_slots():
    engine = Engine(Small(4, 4))
    batch = [*images(2), *images(1, side=9), *images(3)]
    results = engine.run(batch)
    assert [r.error is None for r in results] == [True, True, False, True, True, True]
    assert "does not fit into memory" in str(results[2].error)
    assert engine.batch_size == 4


def test_other_errors_are_not_taken_for_memory():
    engine = Engine(Small(8, 2, ValueError))
    with pytest.raises(ValueError, match="out of memory"):
        engine.run(images(1))


def test_the_fill_is_pictures_over_slots():
    engine = Engine(Small(4, 4))
    engine.run(images(4))
    engine.run(images(2))
    assert engine.fill == 6 / 8
