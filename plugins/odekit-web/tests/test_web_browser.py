"""The page in a real Chromium: drop, choose, restore, compare, zoom, download, stop; and whom it asks."""

import json
import re
import urllib.parse
import urllib.request
import zipfile

import numpy as np
import PIL.Image
import pytest
from browsing import chromium, requests

from .damaged import damaged_photo
from .driving import Person, wait_for

pytestmark = pytest.mark.browser
MAGENTA, BRUSH = (255, 0, 255), (255, 32, 32)
"""Colours of a line in a photograph, and of the editor's brush."""


@pytest.fixture(scope="module")
def driver():
    with chromium(1280, 1500) as driver:
        yield driver


@pytest.fixture
def person(driver, server):
    server.release.unlink(missing_ok=True)
    return Person(driver, server.address)


def small(path, value=40):
    PIL.Image.new("RGB", (64, 48), (value, 0, 0)).save(path)
    return path


def quick(person, chain="quick"):
    person.choose("chain", chain)
    wait_for(lambda: person.value("chain") == chain, "the chain")


def colours(person):
    """The red of the pictures of the slider, before and after; they have one colour each."""
    sources = [image.get_attribute("src") for image in person.find_all("#slider img")[:2]]
    reds = [PIL.Image.open(urllib.request.urlopen(src)).convert("RGB").getpixel((9, 9))[0] for src in sources]
    return [5 * round(red / 5) for red in reds]  # the pictures of the page are compressed


def download(person, place, folder):
    """The file that a button downloads."""
    wait_for(lambda: person.find(f"button#{place}").is_enabled(), "the button")
    person.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    person.press(place)
    finished = wait_for(
        lambda: [f for f in folder.iterdir() if f.suffix != ".crdownload" and f.stat().st_size], "the file"
    )
    return finished[0]


def test_a_photograph_is_restored_compared_and_looked_at_closely(person, tmp_path):
    person.upload(damaged_photo(tmp_path / "astronaut.png", noise=0.2))
    wait_for(lambda: person.find_all("#boxes img"), "the boxes")
    assert "face 1" in person.find("#ticks").text and person.value("chooser") == "astronaut.png"
    shown = np.asarray(PIL.Image.open(urllib.request.urlopen(person.source("boxes"))).convert("RGB"), int)
    assert (np.abs(shown - [60, 200, 60]).max(axis=2) < 40).sum() > 100  # a green box
    person.press("restore")
    phases = set()

    def done():
        phases.update(re.findall(r"astronaut\.png: ([a-z ]+[a-z])", person.find("#state").text))
        return person.value("state") == "done"

    wait_for(done, "the result")
    wait_for(lambda: len(person.find_all("#slider img")) >= 2, "the slider")
    assert "restoring faces" in phases
    assert "1 face" in person.value("lines") and "taken off" in person.value("lines")
    slider = person.find("#slider")
    before, after = (image.get_attribute("src") for image in slider.find_elements("css selector", "img")[:2])
    pictures = [np.asarray(PIL.Image.open(urllib.request.urlopen(src)), float) for src in (before, after)]
    assert pictures[0].shape == pictures[1].shape and np.abs(pictures[0] - pictures[1]).mean() > 5
    person.choose("views", "face 1")
    wait_for(lambda: person.find_all("#slider img")[1].get_attribute("src") != after, "the face")
    assert urllib.parse.urlparse(person.source("slider")).path.endswith(".webp")


def test_the_line_of_the_slider_moves(person, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains

    quick(person)
    person.upload(small(tmp_path / "a.png"))
    wait_for(lambda: person.value("chooser") == "a.png", "the photograph")
    person.press("restore")
    wait_for(lambda: len(person.find_all("#slider img")) >= 2, "the slider")

    def cut():
        image = person.find_all("#slider img")[-1]
        return person.driver.execute_script("return arguments[0].parentElement.innerHTML", image)

    handle = person.find("#slider [role=slider], #slider .outer, #slider .inner")
    person.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
    first = cut()
    ActionChains(person.driver).move_to_element(handle).click_and_hold().move_by_offset(-60, 0).release().perform()
    wait_for(lambda: cut() != first, "the line to move", 30)


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


def test_what_is_drawn_by_hand_is_filled_there_and_only_there(person, tmp_path):
    """A bright line across the suit: a person opens the editor, and draws over it where it is seen."""
    path = damaged_photo(tmp_path / "line.png", noise=0.0)
    before = np.asarray(PIL.Image.open(path)).copy()
    before[270:274, 200:290] = MAGENTA
    PIL.Image.fromarray(before).save(path)
    person.upload(path)
    wait_for(lambda: person.find_all("#boxes img"), "the boxes")
    person.find("#ticks input").click()  # the face stays as it is
    person.press("drawing")
    person.press("draw")
    x0, y0, x1, y1 = wait_for(lambda: person.seen("editor", MAGENTA), "the photograph in the editor")
    for y in (y0, (y0 + y1) / 2, y1):
        person.stroke((x0 - 2, y), (x1 + 2, y))
    wait_for(lambda: person.seen("editor", BRUSH), "the strokes")
    person.press("use-mask")
    wait_for(lambda: person.value("mask-state") == "line.png: what you drew will be filled", "the mask")
    person.press("restore")
    wait_for(lambda: person.value("state") == "done", "the result")
    assert "filled" in person.value("lines")
    (tmp_path / "out").mkdir()
    after = np.asarray(PIL.Image.open(download(person, "picture", tmp_path / "out")).convert("RGB"))
    assert after.shape == before.shape
    assert (np.abs(after.astype(int) - MAGENTA).max(2) < 60).sum() == 0, "the line is filled"
    rows, columns = np.nonzero((after != before).any(2))
    assert rows.min() >= 260 and rows.max() <= 284 and columns.min() >= 190 and columns.max() <= 300, "only there"


def test_a_mask_belongs_to_the_photograph_on_which_it_was_drawn(person, tmp_path):
    """The editor is open with the first photograph while the second one is chosen."""
    damaged_photo(tmp_path / "b.png", noise=0.0)
    before = np.asarray(PIL.Image.open(tmp_path / "b.png")).copy()
    before[270:274, 200:290] = MAGENTA
    PIL.Image.fromarray(before).save(tmp_path / "a.png")
    person.upload(tmp_path / "a.png", tmp_path / "b.png")
    wait_for(lambda: person.value("chooser") == "a.png", "the photographs")
    person.press("drawing")
    person.press("draw")
    wait_for(lambda: person.seen("editor", MAGENTA), "the photograph in the editor")
    assert person.value("mask-state") == "drawing on a.png"
    person.choose("chooser", "b.png")
    wait_for(lambda: person.value("chooser") == "b.png", "the other one")
    person.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", person.find("#editor"))
    x0, y0, x1, y1 = wait_for(lambda: person.seen("editor", MAGENTA), "the editor, which keeps its photograph")
    person.stroke((x0 - 2, (y0 + y1) / 2), (x1 + 2, (y0 + y1) / 2))
    wait_for(lambda: person.seen("editor", BRUSH), "the stroke")
    person.press("use-mask")
    wait_for(lambda: person.value("mask-state") == "a.png: what you drew will be filled", "the mask")
    person.press("restore")
    wait_for(lambda: person.value("state") == "done", "the results")
    first, second = person.value("lines").splitlines()
    assert first.startswith("a.png") and "filled" in first and "filled" not in second


def test_the_slider_shows_the_photograph_that_was_chosen_during_a_run(person, server, tmp_path):
    quick(person)
    person.upload(small(tmp_path / "a.png"), small(tmp_path / "b.png", 200))
    wait_for(lambda: person.value("chooser") == "a.png", "the photographs")
    person.press("restore-one")
    wait_for(lambda: len(person.find_all("#slider img")) >= 2 and colours(person) == [40, 215], "the first result", 60)
    quick(person, "held")
    person.press("restore")
    wait_for(lambda: "counting" in person.find("#state").text, "the run")
    person.choose("chooser", "b.png")
    wait_for(lambda: not person.find_all("#slider img"), "the slider to be empty: b.png has no result yet")
    server.release.touch()
    wait_for(lambda: person.value("state") == "done", "the run")
    wait_for(lambda: len(person.find_all("#slider img")) >= 2, "the slider")
    assert person.value("chooser") == "b.png" and colours(person) == [200, 55]
    assert download(person, "picture", made(tmp_path / "down")).name == "b-restored.png"
    person.choose("chooser", "a.png")
    wait_for(lambda: colours(person) == [40, 215], "the other photograph")


def made(folder):
    folder.mkdir()
    return folder


def test_stop_stops_at_once_and_the_next_run_works(person, tmp_path):
    person.upload(small(tmp_path / "a.png"))
    wait_for(lambda: person.value("chooser") == "a.png", "the photograph")
    quick(person, "held")
    person.press("restore")
    wait_for(lambda: "counting" in person.find("#state").text, "the phase")
    person.press("stop")
    wait_for(lambda: person.value("state") == "stopped", "the stop")  # nothing else ends this run
    assert person.value("lines") == "a.png: not restored yet"
    quick(person)
    person.press("restore")
    wait_for(lambda: person.value("state") == "done", "the result")


def test_two_browsers_at_once_and_one_may_stop_while_it_waits(person, server, tmp_path):
    with chromium(1000, 1200) as other:
        second = Person(other, server.address)
        for who, name in ((person, "a.png"), (second, "b.png")):
            who.upload(small(tmp_path / name))
            wait_for(lambda who=who, name=name: who.value("chooser") == name, "the photograph")
            quick(who, "held")
        person.press("restore")
        wait_for(lambda: "counting" in person.find("#state").text, "the first")
        second.press("restore")
        wait_for(lambda: second.find("#state .progress-text, #state .eta-bar, #state .wrap:not(.hide)"), "its turn")
        second.press("stop")
        server.release.touch()
        wait_for(lambda: person.value("state") == "done", "the first")
        wait_for(lambda: second.value("state") == "stopped", "the second")
        assert second.value("lines") == "b.png: not restored yet" and "b.png" not in person.value("lines")


def test_a_chain_whose_weights_are_not_there_is_a_line_in_the_page(person, tmp_path):
    person.upload(small(tmp_path / "a.png"))
    wait_for(lambda: person.value("chooser") == "a.png", "the photograph")
    quick(person, "lacking")
    person.press("restore")
    wait_for(lambda: person.value("state").startswith("failed: not-there: "), "the line")
    assert person.value("lines") == "a.png: not restored yet"
    quick(person)
    person.press("restore")
    wait_for(lambda: person.value("state") == "done", "the next run")


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


def test_nobody_else_was_asked(driver, server):
    """Runs last: every address that this browser has requested."""
    from selenium.webdriver.common.by import By

    driver.get(f"{server.address}/gradio_api/file=/etc/passwd")
    assert "not allowed" in driver.find_element(By.TAG_NAME, "body").text
    hosts = {urllib.parse.urlparse(url).hostname for url in requests(driver) if url.startswith("http")}
    assert hosts == {"127.0.0.1"}
