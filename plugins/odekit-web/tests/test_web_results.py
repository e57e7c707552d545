"""Results as they come and go: zips, stops, the disk, names that two photographs share, files of several frames."""

import contextlib
import gc
import json
import resource
import signal
import types
import zipfile
from pathlib import Path

import gradio as gr
import PIL.Image
import pytest
from odekit_web.api import Api
from odekit_web.archive import make_zip
from odekit_web.handlers import Page
from odekit_web.messages import writing
from odekit_web.settings import Settings
from odekit_web.visit import FIRST_ONLY
from odekit_web.work import add_photos, restore_photos

import odekit

from .visiting import silent, small_photo

pytestmark = pytest.mark.usefixtures("chains")
QUICK = Settings("quick")
WHO = types.SimpleNamespace(session_hash="somebody")
RESTORING = (None, "quick", "auto", False, 0.5, "as the chain does", WHO)


@pytest.fixture
def page(engine):
    page = Page(engine)
    yield page
    page.visits.end("somebody")


@pytest.fixture
def two(engine, visit, tmp_path):
    """A visit with two photographs of one name, restored."""
    (tmp_path / "b").mkdir()
    files = [small_photo(tmp_path / "a.png"), small_photo(tmp_path / "b" / "a.png", 1)]
    add_photos(engine, visit, files, "quick", silent)
    list(restore_photos(engine, visit, visit.photos, QUICK, silent))
    return visit


def in_the_zip(visit):
    return zipfile.ZipFile(visit.archive).namelist()


def test_a_zip_goes_when_results_change(engine, two, tmp_path):
    first = make_zip(two)
    assert two.archive == first and len(in_the_zip(two)) == 4
    add_photos(engine, two, [small_photo(tmp_path / "c.png", 2)], "quick", silent)
    assert two.archive == first  # it has all results still
    for photo in (two.photos[2], two.photos[0]):  # a third one, and one again
        list(restore_photos(engine, two, [photo], QUICK, silent))
        assert two.archive is None and not first.exists()
        first = make_zip(two)
    assert len(in_the_zip(two)) == 6
    two.photos[0].path.write_bytes(b"")
    assert "empty" in next(restore_photos(engine, two, two.photos, QUICK, silent)).error
    assert two.archive is None


def test_the_page_takes_a_zip_away_with_the_first_new_result(page, tmp_path):
    page.add([small_photo(tmp_path / f"{i}.png", i) for i in range(2)], "quick", None, WHO, silent_progress)
    assert list(page.restore_all(*RESTORING, silent_progress))
    visit = page.visits.of("somebody")
    assert page.zip(WHO).visible is True and visit.archive.is_file()
    assert page.lines(visit)[2] == gr.skip()
    _, _, _, archive, _ = next(page.restore_all(*RESTORING, silent_progress))
    assert archive.visible is False and archive.value is None


def silent_progress(share, desc=""):
    """Shows nothing."""


def test_a_zip_of_results_that_change_meanwhile_is_not_offered(engine, two, monkeypatch):
    write = zipfile.ZipFile.write

    def restore_meanwhile(archive, path, name):
        write(archive, path, name)
        if name == "a-restored.png":
            list(restore_photos(engine, two, two.photos, QUICK, silent))

    monkeypatch.setattr(zipfile.ZipFile, "write", restore_meanwhile)
    with pytest.raises(odekit.InputError, match="results have changed meanwhile; make the zip again"):
        make_zip(two)
    assert two.archive is None and not list(two.folder.rglob("*.zip"))


def test_a_stop_with_nothing_running_changes_nothing(page, tmp_path):
    assert page.stop(WHO) == gr.skip()
    page.add([small_photo(tmp_path / "a.png")], "quick", None, WHO, silent_progress)
    assert page.stop(WHO) == gr.skip()
    page.begin(WHO)
    run = page.restore_all(*RESTORING, silent_progress)
    next(run)
    assert page.stop(WHO) == "stopping"
    assert [state for state, *_ in run] == ["done"]  # it was the only photograph, and was finished
    assert page.stop(WHO) == gr.skip()
    page.begin(WHO)  # a run that waits for its turn is stopped, too
    assert page.stop(WHO) == "stopping"
    assert [state for state, *_ in page.restore_all(*RESTORING, silent_progress)] == ["stopped"]
    assert page.stop(WHO) == gr.skip()


@contextlib.contextmanager
def no_room():
    """No file of more than a kilobyte can be written, nor what pytest prints, so that this ends before a test does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_results_that_cannot_be_written_are_a_line_without_places_of_the_server(engine, two, tmp_path):
    files, path = len(list(two.folder.rglob("*.*"))), small_photo(tmp_path / "c.png")
    for call in (
        lambda: list(restore_photos(engine, two, two.photos[1:], QUICK, silent)),
        lambda: Api(engine).restore(path, "quick", "auto", None, "", ""),
    ):
        with (
            pytest.raises(
                odekit.OutputError, match=r"^[ac]\.png( \(2\))?: it cannot be written on this machine"
            ) as caught,
            no_room(),
        ):
            call()
        assert str(two.folder.parent) not in str(caught.value) and "choose" not in str(caught.value)
    assert len(list(two.folder.rglob("*.*"))) < files  # nothing half is left; the earlier result has gone
    with pytest.raises(odekit.OutputError, match=r"^the zip: it cannot be written"), no_room():
        make_zip(two)


def fill():
    with Path("/dev/full").open("wb") as stream:
        stream.write(b"x")


def fill_as_the_core_does():
    try:
        fill()
    except OSError as error:
        raise odekit.OdekitError(f"{Path.cwd()}/a.png: cannot be written; choose another output folder") from error


@pytest.mark.parametrize("write", [fill, fill_as_the_core_does])
def test_a_full_disk_is_said_to_be_full(write):
    with pytest.raises(odekit.OutputError, match=r"^a\.png: the disk of this machine is full$"), writing("a.png"):
        write()


def test_photographs_of_one_name_have_numbers(two, engine, tmp_path):
    assert [photo.line.partition(":")[0] for photo in two.photos] == ["a.png", "a.png (2)"]
    add_photos(engine, two, [small_photo(tmp_path / "a.png")], "quick", silent)
    choices = [label for label, _ in Page(engine).chooser(two, None).choices]
    assert choices == ["a.png", "a.png (2)", "a.png (3)"]
    assert json.loads(two.photos[1].record.read_text())["input"]["path"] == "a.png"
    seen = []
    list(restore_photos(engine, two, two.photos[1:2], QUICK, lambda share, words: seen.append(words)))
    assert all(words.startswith("a.png (2): ") for words in seen)


@pytest.mark.parametrize(("name", "several"), [("a.gif", True), ("a.webp", True), ("a.png", True), ("b.gif", False)])
def test_of_an_animation_it_is_said_that_one_frame_is_kept(engine, visit, tmp_path, name, several):
    frames = [PIL.Image.new("RGB", (16, 16), (80 * i, 0, 0)) for i in range(3 if several else 1)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    text = Api(engine).restore(str(tmp_path / name), "quick", "auto", None, "", "")[2]
    assert text == "turned to its negative" + (FIRST_ONLY if several else "")
    (photo,) = add_photos(engine, visit, [str(tmp_path / name)], "quick", silent)
    assert photo.line == f"{name}: not restored yet" + (FIRST_ONLY if several else "")
    list(restore_photos(engine, visit, visit.photos, QUICK, silent))
    assert photo.line == f"{name}: turned to its negative" + (FIRST_ONLY if several else "")


def test_a_run_leaves_no_garbage(engine, two):
    """Chains and records leave objects in cycles; without a collection there are hundreds for each photograph."""
    image = odekit.read(two.photos[0].path)
    engine.restore(image, QUICK, lambda progress: None)
    gc.disable()
    try:
        engine.find(image, "photo")
        engine.restore(image, Settings("photo", "none"), lambda progress: None)
        assert gc.collect() < 20
    finally:
        gc.enable()


def test_a_file_that_has_gone_is_a_line(engine, two):
    Path(two.photos[0].path).unlink()
    with pytest.raises(odekit.OdekitError, match=r"^a\.png: ") as caught:
        list(restore_photos(engine, two, two.photos, QUICK, silent))
    assert str(two.folder) not in str(caught.value)
