"""What the page does, without a server: choices, uploads, faces, masks, archives, visits."""

import contextvars
import io
import struct
import threading
import zipfile
import zlib

import numpy as np
import PIL.Image
import pytest
from odekit_web.archive import make_zip
from odekit_web.settings import Settings
from odekit_web.visit import keep_mask, mask_of
from odekit_web.visits import MOST, Visits
from odekit_web.work import add_photos, restore_photos

import odekit

from .damaged import ROOT, damaged_photo
from .visiting import silent, small_photo

pytestmark = pytest.mark.usefixtures("chains")


def png(width, height):
    """A PNG that claims a size and holds one compressed run."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )


def zipped():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [("page.png", b"<html><script>alert(1)</script></html>"), ("bomb.png", png(60_000, 60_000)), ("archive.jpg", zipped()), ("empty.png", b"")],
)  # fmt: skip
def test_what_is_no_picture_is_a_line_in_the_list_and_the_others_go_on(engine, visit, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    bad, good = add_photos(engine, visit, [str(tmp_path / name), small_photo(tmp_path / "good.png")], "quick", silent)
    assert bad.error and "\n" not in bad.line and str(tmp_path) not in bad.line and bad.line.startswith(f"{name}: ")
    (done,) = restore_photos(engine, visit, visit.photos, Settings("quick"), silent)
    assert done is good and good.text and good.result.is_file()


def test_a_result_has_its_words_record_and_views_and_the_archive_has_all(engine, visit, tmp_path):
    (tmp_path / "b").mkdir()
    files = [small_photo(tmp_path / "a.png"), small_photo(tmp_path / "b" / "a.png", 1)]
    source = np.asarray(PIL.Image.open(files[0]).copy())
    add_photos(engine, visit, files, "quick", silent)
    list(restore_photos(engine, visit, visit.photos, Settings("quick"), silent))
    photo = visit.photos[0]
    assert photo.text == "turned to its negative" and [view.label for view in photo.views] == ["whole photograph"]
    assert np.array_equal(np.asarray(PIL.Image.open(photo.result)), 255 - source)
    assert zipfile.ZipFile(make_zip(visit)).namelist() == [
        "a-restored.png", "a-restored.png.json", "a-restored-2.png", "a-restored-2.png.json",
    ]  # fmt: skip


def test_nothing_restored_is_no_archive(visit):
    with pytest.raises(odekit.InputError, match="nothing is restored yet"):
        make_zip(visit)


def test_one_session_is_open_whatever_the_number_of_photographs(engine, visit, tmp_path):
    add_photos(engine, visit, [small_photo(tmp_path / f"{i}.png", i) for i in range(3)], "quick", silent)
    list(restore_photos(engine, visit, visit.photos, Settings("quick"), silent))
    (session,) = engine.opened.values()
    list(restore_photos(engine, visit, visit.photos, Settings("quick"), silent))
    assert list(engine.opened.values()) == [session]
    list(restore_photos(engine, visit, visit.photos[:1], Settings("photo", "none"), silent))
    assert list(engine.opened) == [Settings("photo", "none")]


def test_all_pictures_are_worked_on_in_one_thread_whoever_calls(engine, tmp_path):
    """Gradio calls from many threads, for each of which torch and OpenCV would keep memory of their own."""
    image, threads, visitors = odekit.read(small_photo(tmp_path / "a.png")), set(), []
    visitor = contextvars.ContextVar("visitor")

    def call(number):
        def tell(progress):
            threads.add(threading.get_ident())
            visitors.append(visitor.get())

        visitor.set(number)  # as Gradio keeps whose progress it is
        engine.restore(image, Settings("quick"), tell)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(threads) == 1 and set(visitors) == {0, 1, 2, 3}
    assert visitors == sorted(visitors, key=visitors.index)  # one after the other


def test_a_stop_ends_the_work_and_the_next_one_runs(engine, visit, tmp_path):
    add_photos(engine, visit, [small_photo(tmp_path / "a.png")], "quick", silent)
    seen = []

    def stop(share, words):
        seen.append(words)
        if len(seen) == 5:
            visit.halt()

    with pytest.raises(odekit.Stopped):
        list(restore_photos(engine, visit, visit.photos, Settings("held"), stop))
    assert len(seen) == 5 and seen[-1] == "a.png: counting" and visit.photos[0].result is None
    visit.begin()
    assert [photo.text for photo in restore_photos(engine, visit, visit.photos, Settings("quick"), silent)]


def test_a_run_that_was_stopped_stays_stopped_when_the_next_one_is_asked_for(engine, visit, tmp_path):
    add_photos(engine, visit, [small_photo(tmp_path / f"{i}.png", i) for i in range(2)], "quick", silent)
    first = restore_photos(engine, visit, visit.photos, Settings("quick"), silent)
    next(first)
    visit.stop.set()
    visit.begin()
    with pytest.raises(odekit.Stopped):
        next(first)
    assert len(list(restore_photos(engine, visit, visit.photos, Settings("quick"), silent))) == 2


def test_a_stop_ends_a_run_although_another_one_was_asked_for_meanwhile(engine, visit, tmp_path):
    add_photos(engine, visit, [small_photo(tmp_path / f"{i}.png", i) for i in range(2)], "quick", silent)
    first = restore_photos(engine, visit, visit.photos, Settings("quick"), silent)
    next(first)
    visit.begin()  # the button was pressed again
    visit.halt()
    with pytest.raises(odekit.Stopped):
        next(first)


def test_what_was_finished_stays_when_a_later_run_is_stopped(engine, visit, tmp_path):
    add_photos(engine, visit, [small_photo(tmp_path / "a.png")], "quick", silent)
    list(restore_photos(engine, visit, visit.photos, Settings("quick"), silent))
    (photo,) = visit.photos

    def stop(share, words):
        if words == "a.png: counting":
            visit.stop.set()

    with pytest.raises(odekit.Stopped):
        list(restore_photos(engine, visit, visit.photos, Settings("held"), stop))
    assert photo.result.is_file() and photo.record.is_file() and photo.text == "turned to its negative"


def test_a_stop_ends_the_search_and_what_was_searched_stays(engine, visit, tmp_path):
    files = [small_photo(tmp_path / f"{i}.png", i) for i in range(3)]
    added = add_photos(engine, visit, files, "quick", lambda share, words: visit.stop.set() if share else None)
    assert [photo.name for photo in added] == ["0.png", "1.png"] and visit.photos == added


def test_photographs_are_taken_although_their_faces_cannot_be_searched(engine, visit, tmp_path):
    files = [small_photo(tmp_path / f"{i}.png", i) for i in range(2)]
    with pytest.raises(odekit.ConfigError, match="unknown chain"):
        add_photos(engine, visit, files, "gone", silent)
    assert [photo.name for photo in visit.photos] == ["0.png", "1.png"]
    assert len(list(restore_photos(engine, visit, visit.photos, Settings("quick"), silent))) == 2


def test_photographs_that_are_removed_in_a_run_end_it(engine, visit, tmp_path):
    add_photos(engine, visit, [small_photo(tmp_path / f"{i}.png", i) for i in range(2)], "quick", silent)

    def remove(share, words):
        if share:
            visit.close()

    with pytest.raises(odekit.Stopped):
        list(restore_photos(engine, visit, visit.photos, Settings("quick"), remove))


def test_uploaded_files_go_with_their_visit(engine, visit, tmp_path):
    (tmp_path / "page.png").write_text("<html>")
    files = [small_photo(tmp_path / "a.png"), str(tmp_path / "page.png")]
    added = add_photos(engine, visit, files, "quick", silent)
    assert not any((tmp_path / name).exists() for name in ("a.png", "page.png"))
    assert [photo.path.is_file() for photo in added] == [True, False]  # what is no picture is not kept
    visit.close()
    assert not any(photo.path.exists() for photo in added)


def test_another_chain_searches_a_photograph_when_it_is_its_turn(engine, visit, tmp_path):
    add_photos(engine, visit, [small_photo(tmp_path / "a.png")], "quick", silent)
    (photo,) = visit.photos
    assert photo.searched == "quick"
    list(restore_photos(engine, visit, visit.photos, Settings("photo", "none"), silent))
    assert photo.searched == "photo"


def test_weights_that_are_not_there_are_one_line(engine, visit, tmp_path):
    add_photos(engine, visit, [small_photo(tmp_path / "a.png")], "quick", silent)
    with pytest.raises(odekit.OdekitError, match="not-there") as caught:
        list(restore_photos(engine, visit, visit.photos, Settings("lacking"), silent))
    assert "\n" not in str(caught.value)


def test_an_unticked_face_stays_and_a_drawn_mask_is_filled(engine, visit, tmp_path):
    (photo,) = add_photos(engine, visit, [str(damaged_photo(tmp_path / "d.png"))], "photo", silent)
    assert [face.number for face in photo.faces] == photo.ticked == [1]
    layer = np.zeros((160, 160, 4), np.uint8)  # drawn in a copy of half the size
    layer[140:142, 20:60, 3] = 255
    assert keep_mask(visit, photo, [layer])
    mask = mask_of(photo)
    assert mask.shape == (320, 320) and mask.dtype == np.float32 and mask.sum() == 4 * 80
    photo.ticked = []
    (done,) = restore_photos(engine, visit, [photo], Settings(), silent)
    assert "1 left (by choice)" in done.text and "filled" in done.text
    assert not keep_mask(visit, photo, [np.zeros((8, 8, 4), np.uint8)]) and mask_of(photo) is None


def test_a_chain_of_aligned_faces_searches_none(engine):
    image = odekit.read(ROOT / "examples" / "damaged" / "syn_02020.png")
    assert engine.find(image, "odedit-plus") == []


def test_a_visit_that_ends_leaves_no_file_and_visits_are_bounded():
    visits = Visits()
    first = visits.of("0")
    folder = first.folder
    (folder / "file").write_text("x")
    visits.end("0")
    assert first.stop.is_set() and not folder.exists() and visits.of("0") is not first
    many = [visits.of(str(i)) for i in range(MOST + 5)]
    assert len(visits.known) == MOST and not many[0].folder.exists() and many[-1].folder.exists()
    for key in list(visits.known):
        visits.end(key)
