"""What a person sees of the work in a real Chromium: progress in one place, words that cover nothing, stops, waiting."""

import pytest
from browsing import chromium

from .damaged import damaged_photo
from .driving import Person, quick, small, wait_for

pytestmark = pytest.mark.browser
SHOWN = """
return [...document.querySelectorAll('.progress-text, .progress-level-inner')]
  .filter(e => e.innerText.trim() && e.checkVisibility({visibilityProperty: true, opacityProperty: true}))
  .map(e => e.closest('[id]').id)
"""
"""Identities of the components that show progress."""
BOXES = """
const box = e => (({left, top, right, bottom}) => [left, top, right, bottom])(e.getBoundingClientRect());
return [...document.querySelectorAll(arguments[0])].map(box)
"""
WATCH = """
window.seen = []
setInterval(() => window.seen.push(document.querySelector('#mask-state textarea, #mask-state input').value), 1)
"""


def boxes(person, selector):
    """Left, top, right, bottom of elements."""
    return person.driver.execute_script(BOXES, selector)


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def held_run(person, tmp_path):
    """A run that goes on until it is released."""
    quick(person, "held")
    person.upload(small(tmp_path / "a.png"))
    wait_for(lambda: person.value("chooser") == "a.png", "the photograph")
    person.press("restore")
    wait_for(lambda: "counting" in person.find("#state").text, "the run")


@pytest.mark.parametrize("width", [390, 1280])
def test_progress_is_shown_once_and_covers_nothing(server, tmp_path, width):
    server.release.unlink(missing_ok=True)
    with chromium(width, 1500) as driver:
        if width < 500:
            size = {"width": width, "height": 1500, "deviceScaleFactor": 1, "mobile": True}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        person = Person(driver, server.address)
        (label,) = boxes(person, "#fidelity [data-testid=block-info]")
        for field in boxes(person, "#fidelity input[type=number]"):
            assert not overlap(label, field)
        person.upload(*(damaged_photo(tmp_path / f"{i}.png", seed=i) for i in range(8)))
        places = wait_for(lambda: driver.execute_script(SHOWN), "the search")
        assert set(places) == {"files"}
        wait_for(lambda: person.value("chooser") == "0.png", "the photographs")
        quick(person, "held")
        person.press("restore-one")
        wait_for(lambda: "counting" in person.find("#state").text, "the run")
        assert set(driver.execute_script(SHOWN)) == {"state"}
        assert "7.png: not restored yet" in person.value("lines")
        (label,) = boxes(person, "#state [data-testid=block-info]")
        for words in boxes(person, "#state .progress-level-inner"):
            assert not overlap(label, words)
        server.release.touch()
        wait_for(lambda: person.value("state") == "done", "the run")


def test_who_waits_is_told_for_what(person, server, tmp_path):
    with chromium(1000, 1500) as driver:
        other = Person(driver, server.address)
        other.upload(small(tmp_path / "b.png"))
        wait_for(lambda: other.value("chooser") == "b.png", "the photograph")
        quick(other)
        held_run(person, tmp_path)
        other.press("restore")

        def words():
            script = "return getComputedStyle(document.querySelector('#state .wrap'), '::after').content"
            return driver.execute_script(script)

        wait_for(lambda: words() == '"waiting for its turn: one photograph is restored at a time"', "the words")
        server.release.touch()
        wait_for(lambda: other.value("state") == "done", "its turn")
        assert words() in ("none", "normal")


def test_a_stop_after_the_end_changes_nothing(person, tmp_path):
    quick(person)
    person.upload(small(tmp_path / "a.png"))
    wait_for(lambda: person.value("chooser") == "a.png", "the photograph")
    person.press("restore")
    wait_for(lambda: person.value("state") == "done", "the result")
    sent = "return performance.getEntriesByType('resource').filter(e => e.responseEnd > 0).length"
    before = person.driver.execute_script(sent)
    person.press("stop")
    wait_for(lambda: person.driver.execute_script(sent) > before, "the answer")
    assert person.value("state") == "done"


def test_using_a_mask_is_said_at_once(person, tmp_path):
    person.upload(small(tmp_path / "a.png"))
    wait_for(lambda: person.value("chooser") == "a.png", "the photograph")
    person.driver.execute_script(WATCH)
    person.press("drawing")
    person.press("use-mask")
    wait_for(lambda: person.value("mask-state") == "draw on a photograph first", "the advice")
    person.press("draw")
    wait_for(lambda: person.value("mask-state") == "drawing on a.png", "the editor")
    person.press("use-mask")
    wait_for(lambda: person.value("mask-state") == "a.png: no mask", "the answer")
    assert person.driver.execute_script("return window.seen").count("taking over what you drew") > 0
