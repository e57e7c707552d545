"""What a program around odekit (a page, a node, an editor) needs: an open session, faces to choose, drawn masks, words."""

import dataclasses

import numpy as np
import pytest
from conftest import EXACT, picture
from photos import PHOTOS

import odekit
from odekit.chains.document import parse_yaml
from odekit.core.image import FILL, Image

ASTRONAUT = PHOTOS / "astronaut.jpg"


@pytest.fixture
def chain():
    return odekit.Chain.from_document(parse_yaml(EXACT, "exact"))


@pytest.fixture(scope="module")
def search():
    return odekit.FaceSearch(odekit.Chain.load("photo"))


def test_a_session_restores_as_the_chain_does(chain):
    pictures = [picture(i) for i in range(3)]
    session = chain.open(images=3)
    first, again = session.restore(pictures), session.restore(pictures)
    for result, other, own in zip(chain.run(pictures), first, again, strict=True):
        assert np.array_equal(result.image.pixels, other.image.pixels)
        assert np.array_equal(result.image.pixels, own.image.pixels)
        assert result.record.keys() == other.record.keys() >= {"chain", "weights", "versions", "stages"}


def test_each_call_of_a_session_has_its_own_progress(chain):
    session = chain.open(images=1)
    told, later = [], []
    session.restore([picture()], told.append)
    session.restore([picture(), picture(1)], later.append)
    assert told[-1].finished == told[-1].images == 1 and later[-1].finished == later[-1].images == 2
    assert told[-1].calls == 28 and later[-1].calls == 2 * 28  # of two batches, counted from 0 again
    silent = len(told) + len(later)
    session.restore([picture()])
    assert len(told) + len(later) == silent


def test_a_stopped_session_runs_again(chain):
    session = chain.open(images=1)

    def stop(progress):
        if progress.calls == 3:
            raise odekit.Stopped

    with pytest.raises(odekit.Stopped):
        session.restore([picture()], stop)
    (result,) = session.restore([picture()])
    assert np.array_equal(result.image.pixels, chain.run(picture()).image.pixels)


def test_callbacks_of_open_are_called_too(chain):
    calls, told = [], []
    session = chain.open(images=1, on_calls=calls.append)
    session.restore([picture()], told.append)
    assert sum(calls) == told[-1].calls == session.counter.calls


def test_a_search_finds_the_face_and_says_so_for_a_chain_without_faces(search):
    found = search.find(ASTRONAUT)
    assert len(found.faces) == 1 and found.selected() == [1]
    with pytest.raises(odekit.ConfigError, match="no stage 'faces'"):
        odekit.FaceSearch(odekit.Chain.load("odedit-plus"))


def test_a_face_that_a_person_left_out_stays_and_the_record_says_so(search):
    photo = odekit.read(ASTRONAUT)
    (face,) = search.find(photo).faces
    box = tuple((np.array(face.box) / np.array([photo.width, photo.height] * 2)).tolist())
    left = dataclasses.replace(photo, leave=(box,))
    assert search.find(left).out == {1: "by choice"}
    other = dataclasses.replace(photo, leave=((0.7, 0.7, 0.9, 0.9),))
    assert search.find(other).out == {}
    (result,) = odekit.Chain.load("photo").open(images=1).restore([left])
    assert odekit.findings_of(result.record).left == {"by choice": 1}
    (crops,) = [crop for crop in odekit.face_crops(result.record, left, result.image) if crop.number == "1"]
    assert (crops.outcome, crops.decision) == ("out", "left: by choice")
    assert crops.before is not None and crops.after is None


def test_a_drawn_mask_travels_with_the_picture_and_its_pixels_alone_are_filled():
    photo = odekit.read(ASTRONAUT)
    mask = np.zeros(photo.pixels.shape[1:], np.float32)
    mask[300:310, 100:140] = 1
    chain = odekit.Chain([odekit.Mend(blocks=False, blur=False)])
    (result,) = chain.open(images=1).restore([dataclasses.replace(photo, extra={FILL: mask})])
    changed = (result.image.pixels != photo.pixels).any(axis=0)
    assert changed[300:310, 100:140].mean() > 0.9
    assert not changed[:298].any() and not changed[312:].any() and not changed[:, :98].any()
    assert "filled" in odekit.findings_of(result.record).text


def test_a_drawn_mask_of_another_size_is_refused():
    image = Image(np.full((3, 8, 9), 0.5, np.float32), extra={FILL: np.ones((9, 8), np.float32)})
    (result,) = odekit.Chain([odekit.Mend(blocks=False, blur=False)]).open(images=1).restore([image])
    with pytest.raises(odekit.InputError, match="the mask has 8 x 9 pixels, but the photograph 9 x 8"):
        result.image  # noqa: B018
