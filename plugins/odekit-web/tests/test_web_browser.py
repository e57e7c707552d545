"""The page in a real Chromium: drop, choose, restore, compare, zoom, download, stop; and whom it asks."""

import re
import urllib.parse
import urllib.request

import numpy as np
import PIL.Image
import pytest
from browsing import chromium, requests

from .damaged import damaged_photo
from .driving import Person, colours, download, quick, small, wait_for

pytestmark = pytest.mark.browser
MAGENTA, BRUSH = (255, 0, 255), (255, 32, 32)
"""Colours of a line in a photograph, and of the editor's brush."""


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
    assert download(person, "picture", tmp_path / "down").name == "b-restored.png"
    person.choose("chooser", "a.png")
    wait_for(lambda: colours(person) == [40, 215], "the other photograph")


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


def test_nobody_else_was_asked(driver, server):
    """Runs last: every address that this browser has requested."""
    from selenium.webdriver.common.by import By

    driver.get(f"{server.address}/gradio_api/file=/etc/passwd")
    assert "not allowed" in driver.find_element(By.TAG_NAME, "body").text
    hosts = {urllib.parse.urlparse(url).hostname for url in requests(driver) if url.startswith("http")}
    assert hosts == {"127.0.0.1"}
