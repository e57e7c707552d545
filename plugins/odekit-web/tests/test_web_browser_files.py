"""Files that are dropped on the page in a real Chromium: many, large, and some that are no pictures."""

import json
import urllib.request
import zipfile

import numpy as np
import PIL.Image
import psutil
import pytest

from .damaged import damaged_photo
from .driving import download, quick, small, wait_for

pytestmark = pytest.mark.browser


def test_files_that_are_no_pictures_are_not_said_to_be_done(person, tmp_path):
    path = damaged_photo(tmp_path / "whole.jpg")
    PIL.Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    (tmp_path / "page.html").write_text("<html></html>")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    names = ("bomb.png", "page.html", "empty.jpg", "cut.jpg")
    person.upload(*(tmp_path / name for name in names))
    wait_for(lambda: len(person.value("lines").splitlines()) == len(names), "the lines")
    lines = dict(line.split(": ", 1) for line in person.value("lines").splitlines())
    assert "400.0 megapixels, over the limit of 50" in lines["bomb.png"] and "not a picture" in lines["page.html"]
    assert "empty" in lines["empty.jpg"] and "incomplete" in lines["cut.jpg"]
    assert "--" not in person.value("lines")  # no advice that only the command line can take
    person.press("restore")
    wait_for(lambda: "nothing to restore" in person.value("state"), "the state")
    person.press("clear")
    wait_for(lambda: person.value("lines") == "" and person.value("state") == "", "the empty page")
    person.press("restore")
    wait_for(lambda: person.value("state") == "drop a photograph first", "the advice")


def test_a_file_of_60_mb_is_named_and_the_others_of_the_drop_are_taken(person, tmp_path):
    with (tmp_path / "large.png").open("wb") as stream:
        stream.truncate(60_000_000)
    quick(person)
    person.upload(small(tmp_path / "a.png"), tmp_path / "large.png", small(tmp_path / "b.png", 200))
    wait_for(lambda: len(person.value("lines").splitlines()) == 3, "the list")
    assert person.value("lines").splitlines()[1] == "large.png: is larger than 50 MB"
    assert person.value("chooser") == "a.png"
    person.press("restore")
    wait_for(lambda: person.value("state") == "done", "the results")
    lines = person.value("lines").splitlines()
    assert [line.endswith("turned to its negative") for line in lines] == [True, False, True]


def test_many_photographs_one_of_them_no_picture_and_a_zip(person, tmp_path):
    quick(person)
    (tmp_path / "page.png").write_text("<html></html>")
    person.upload(small(tmp_path / "a.png"), small(tmp_path / "b.png", 200), tmp_path / "page.png")
    wait_for(lambda: "page.png: " in person.value("lines"), "the list")
    person.press("restore")
    wait_for(lambda: person.value("state") == "done", "the results")
    lines = person.value("lines").splitlines()
    assert lines[:2] == ["a.png: turned to its negative", "b.png: turned to its negative"]
    assert lines[2].startswith("page.png: ") and "not restored" not in lines[2]
    for place, name in (("picture", "a-restored.png"), ("record", "a-restored.png.json")):
        (tmp_path / place).mkdir()
        assert download(person, place, tmp_path / place).name == name
    person.press("zip")
    link = wait_for(lambda: person.find("#archive a").get_attribute("href"), "the archive")
    path = tmp_path / "all.zip"
    path.write_bytes(urllib.request.urlopen(link).read())
    names = zipfile.ZipFile(path).namelist()
    assert names == ["a-restored.png", "a-restored.png.json", "b-restored.png", "b-restored.png.json"]
    record = json.loads(zipfile.ZipFile(path).read("a-restored.png.json"))
    assert record["input"]["path"] == "a.png"
    person.press("restore-one")
    wait_for(lambda: not person.find_all("#archive a"), "the zip of the earlier results to go")
    wait_for(lambda: person.value("state") == "done", "the result")
    person.press("zip")
    assert wait_for(lambda: person.find("#archive a").get_attribute("href"), "the new archive") != link


@pytest.mark.parametrize("number", [6, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
def test_memory_is_flat_over_many_photographs_of_one_visit(person, server, tmp_path, number):
    """With the usual chain, and all that the page does: faces are searched, boxes drawn, restored, compared."""
    process, used = psutil.Process(server.process.pid), []
    for count in range(1, 4 + number):
        person.upload(damaged_photo(tmp_path / f"{count}.png", noise=0.15, side=400, seed=count))
        wait_for(lambda count=count: person.value("chooser") == f"{count}.png", "the photograph")
        person.press("restore-one")
        wait_for(lambda count=count: f"{count}.png: 1 face" in person.value("lines").splitlines()[-1], "the result")
        wait_for(lambda: person.find("button#picture").is_enabled(), "the download")
        used.append(process.memory_info().rss / 1e6)
    third = len(used) // 3
    first, last = np.median(used[2 : 2 + third]), np.median(used[-third:])
    print(f"{number} photographs of 400 x 400: {first:.0f} MB, then {last:.0f} MB")
    assert last - first < 100  # 100 pictures kept once would be 130 MB
