"""Choices, errors in the words of the page, and what requests may send and ask."""

import os
from pathlib import Path

import gradio as gr
import pytest
from odekit_web.api import Api, read_numbers
from odekit_web.archive import make_zip
from odekit_web.guard import Guard
from odekit_web.handlers import Page, told
from odekit_web.page import make_page
from odekit_web.settings import Settings, chain_names, chain_of
from odekit_web.sweeping import sweep
from odekit_web.uploads import FileCutter
from odekit_web.visit import Visit, read_upload
from odekit_web.work import add_photos, restore_photos

import odekit
from odekit.core.console_advice import CONSOLE

from .damaged import damaged_photo
from .driving import wait_for
from .visiting import silent, small_photo

pytestmark = pytest.mark.usefixtures("chains")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings("phto"), "did you mean 'photo'"),
        (Settings("../photo.yaml"), "choose a name, such as photo; files are not read"),
        (Settings(strength="strong"), "choose auto, none, light, medium, heavy"),
        (Settings(fidelity=2.0), "fidelity 2.0: choose a number from 0 to 1"),
        (Settings(fidelity="a" * 5000), r"fidelity 'a{75}\.\.\.': choose a number from 0 to 1"),
        (Settings(fidelity="nan"), "fidelity 'nan': choose a number from 0 to 1"),
        (Settings(fidelity=float("nan")), "fidelity nan: choose a number from 0 to 1"),
        (Settings(fidelity=[1]), r"fidelity \[1\]: choose a number from 0 to 1"),
        (Settings(fidelity=True), "fidelity True: choose a number from 0 to 1"),
        (Settings(fidelity=10**5000), "fidelity of thousands of digits: choose a number from 0 to 1"),
        (Settings("x" * 5000), r"^chain 'x{75}\.\.\.': choose a name, such as photo; files are not read$"),
        (Settings("\u6f22" * 90), "choose a name, such as photo"),
        (Settings(["photo"]), r"chain \['photo'\]: choose a name"),
        (Settings(strength="x" * 5000), r"^strength 'x{75}\.\.\.': choose auto"),
        (Settings(scratches="x" * 5000), r"^scratches 'x{75}\.\.\.': choose as"),
        (Settings(scratches="maybe"), "choose as the chain does, fill, leave"),
        (Settings("odedit-plus", scratches="fill"), "scratches: the chain 'odedit-plus' has no such choice"),
        (Settings("quick", strength="heavy"), "strength"),
    ],
)
def test_choices_are_checked_in_one_line(settings, message):
    with pytest.raises(odekit.ConfigError, match=message) as caught:
        chain_of(settings)
    assert "\n" not in str(caught.value)


def test_choices_change_the_chain():
    assert chain_names()[0] == "photo" and "old-photo" in chain_names()
    tree = str(chain_of(Settings("photo", "light", 0.25, "fill")).tree())
    assert "'fidelity': 0.25" in tree and "'scratches': True" in tree and tree != str(chain_of(Settings()).tree())


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "large.png").open("wb") as stream:
        stream.truncate(60_000_000)
    with pytest.raises(odekit.InputError, match=r"^large.png: is larger than 50 MB"):
        read_upload(tmp_path / "large.png", "large.png")


def test_numbers_of_faces_are_read():
    assert read_numbers(" 1, 3") == {1, 3} and read_numbers("") == set()
    for text in ("all", "x" * 5000, "9" * 5000):
        with pytest.raises(odekit.ConfigError, match="write numbers of faces") as caught:
            read_numbers(text)
        assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/gradio_api/file=http://example.com/a.png", "addresses are not read; upload the file"),
        ("/gradio_api/proxy=https://example.com", "addresses are not read; upload the file"),
        ("/gradio_api/vibe-edit/", "this page has no such address"),
        ("/monitoring", "this page has no such address"),
        ("/gradio_api/upload", ""),
        ("/assets/index.js", ""),
    ],
)
def test_requests_for_others_are_told_apart(path, reason):
    assert Guard(None).reason({"headers": [], "path": path}) == reason


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings("odedit-plus", scratches="fill"), "scratches: the chain 'odedit-plus' has no such choice"),
        (Settings("quick", fidelity=0.5), "fidelity: the chain 'quick' has no such choice"),
        (Settings("quick", strength="heavy"), "strength heavy: the chain 'quick' treats every face alike"),
        (Settings("lacking"), "not-there: no such weights folder; check the path"),
    ],
)
def test_errors_advise_nothing_to_type(engine, tmp_path, settings, message):
    image = read_upload(Path(damaged_photo(tmp_path / "a.png")), "a.png")
    with pytest.raises(gr.Error) as caught:
        told(lambda: Page(engine).engine.restore(image, settings, lambda progress: None))
    assert message in caught.value.message and not CONSOLE.search(caught.value.message)


def test_what_must_be_installed_is_said_to_who_can_install_it():
    with pytest.raises(gr.Error, match=r"; who runs this page can install what is missing") as caught:
        told(_lack_weights)
    assert not CONSOLE.search(caught.value.message)


def _lack_weights():
    raise odekit.WeightsError("the weights 'a' are not on this machine; get them with: odekit weights pull a")


def test_photographs_over_the_limit_are_named_and_the_others_are_taken(engine, visit, tmp_path, monkeypatch):
    monkeypatch.setattr("odekit_web.work.MAX_PHOTOS", 2)
    files = [small_photo(tmp_path / f"{i}.png", i) for i in range(3)]
    *taken, last = add_photos(engine, visit, files, "quick", silent)
    assert [photo.error for photo in taken] == ["", ""]
    assert last.line == "2.png: was not taken; 2 photographs at most, remove some first"
    assert not (tmp_path / "2.png").exists()


def body(size):
    data = bytes(range(256)) * size
    head = b'Content-Disposition: form-data; name="files"; filename="a\xc3\xbc.png"'
    return b"\r\n".join([b"--edge", head, b"X: y", b"", data, b"--edge--", b""])


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_body_is_the_same_however_it_comes_and_large_files_are_cut(step):
    def through(data, limit):
        cutter = FileCutter(b"edge", limit)
        return b"".join(cutter.feed(data[i : i + step]) for i in range(0, len(data), step)), cutter.ended

    assert through(body(4), 1024) == (body(4), True)
    cut, ended = through(body(8), 1024)
    assert ended and cut == body(8).replace(bytes(range(256)) * 8, bytes(range(256)) * 4 + b"\0")
    hidden = body(4).replace(b'"a\xc3\xbc.png"', b'"dir/.png"')
    assert through(hidden, 1024) == (hidden.replace(b"/.png", b"/_.png"), True)


def test_results_of_the_api_are_removed_without_another_call(engine, tmp_path):
    api = Api(engine, kept=0.5)
    path, record, _ = api.restore(small_photo(tmp_path / "a.png"), "quick", "auto", None, "", "")
    assert Path(path).is_file() and Path(record).is_file()
    wait_for(lambda: not Path(path).exists() and not Path(record).exists(), "the results to go", 60)
    assert Path(api.restore(str(tmp_path / "a.png"), "quick", "auto", None, "", "")[0]).is_file()  # and it goes on


def test_what_is_old_is_removed_but_not_what_an_open_page_shows(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = Visit()
    add_photos(engine, mine, [small_photo(tmp_path / "a.png")], "quick", silent)
    list(restore_photos(engine, mine, mine.photos, Settings("quick"), silent))
    old, new = tmp_path / "hash" / "old.png", tmp_path / "new.png"
    old.parent.mkdir()
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    os.utime(old.parent, (0, 0))
    known = {str(old), str(new)}
    sweep(tmp_path, 3600, [known])
    assert new.exists() and old.parent.exists() and not old.exists() and known == {str(new)}
    sweep(tmp_path, -1, [known])
    assert list(tmp_path.iterdir()) == [mine.folder] and not known
    assert make_zip(mine).is_file() and all(view.after.is_file() for view in mine.photos[0].views)
    mine.close()


def test_gradio_removes_nothing_that_an_open_page_shows(engine):
    assert make_page(Page(engine)).delete_cache in (None, (None, None))
