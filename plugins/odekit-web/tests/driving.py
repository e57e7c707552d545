"""What a person does in the page, for tests and screenshots: by real events in Chromium."""

from __future__ import annotations

import io
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

PATIENCE = 240
"""Seconds that anything may take on a busy machine."""


def wait_for(what: Callable[[], Any], why: str, patience: float = PATIENCE) -> Any:
    """The first true value of a function."""
    from selenium.common.exceptions import WebDriverException

    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            value = what()
        except WebDriverException:  # the component is being replaced
            value = None
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"waited {patience:g} s for {why}")


class Person:
    """Uses the page.

    Args:
        driver: of a browser.
        address: of the page.
    """

    def __init__(self, driver: Any, address: str) -> None:
        self.driver = driver
        driver.get(address)
        wait_for(lambda: self.find("#restore"), "the page")
        wait_for(lambda: self.find_all("#files input[type=file]"), "the field for files")

    def find(self, selector: str) -> Any:
        """The first element."""
        from selenium.webdriver.common.by import By

        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[Any]:
        """All elements."""
        from selenium.webdriver.common.by import By

        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def upload(self, *files: Path) -> None:
        """Choose files, as after a drop."""
        self.find("#files input[type=file]").send_keys("\n".join(map(str, files)))

    def value(self, place: str) -> str:
        """The text of a field."""
        return str(self.find(f"#{place} textarea, #{place} input").get_property("value"))

    def press(self, place: str) -> None:
        """Press a button."""
        button = (
            self.find(f"button#{place}")
            if self.find_all(f"button#{place}")
            else self.find(f"#{place} button, #{place}")
        )
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def source(self, place: str) -> str:
        """The address of the picture that is shown."""
        return str(self.find(f"#{place} img").get_attribute("src"))

    def choose(self, place: str, text: str) -> None:
        """Choose an entry of a list by its text."""
        field = self.find(f"#{place} input")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
        field.click()

        def entry() -> Any:
            return next(
                (option for option in self.find_all("ul[role=listbox] li, [role=option]") if text in option.text), None
            )

        wait_for(entry, f"the entry {text}").click()

    def seen(self, place: str, colour: tuple[int, int, int]) -> tuple[float, float, float, float] | None:
        """Where a colour is seen in an element: left, top, right and bottom, in pixels of the window."""
        element = self.find(f"#{place}")
        picture = np.asarray(PIL.Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB"), int)
        rows, columns = np.nonzero(np.abs(picture - colour).max(2) < 40)
        if len(rows) < 20:
            return None
        spot = self.driver.execute_script("return arguments[0].getBoundingClientRect()", element)
        x, y = float(spot["left"]), float(spot["top"])
        return x + float(columns.min()), y + float(rows.min()), x + float(columns.max()), y + float(rows.max())

    def stroke(self, start: tuple[float, float], end: tuple[float, float], steps: int = 12) -> None:
        """Draw with the pressed mouse from one place of the window to another."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        builder = ActionBuilder(self.driver, duration=20)
        pointer = builder.pointer_action
        for step in range(steps + 1):
            share = step / steps
            pointer.move_to_location(*(round(a + share * (b - a)) for a, b in zip(start, end, strict=True)))
            if step == 0:
                pointer.pointer_down()
        pointer.pointer_up()
        builder.perform()

    def shot(self, path: Path) -> None:
        """A picture of the window."""
        self.driver.save_screenshot(str(path))


def small(path: Path, value: int = 40) -> Path:
    """A small picture of one red."""
    PIL.Image.new("RGB", (64, 48), (value, 0, 0)).save(path)
    return path


def quick(person: Person, chain: str = "quick") -> None:
    """Choose a chain of the tests."""
    person.choose("chain", chain)
    wait_for(lambda: person.value("chain") == chain, "the chain")


def colours(person: Person) -> list[int]:
    """The red of the pictures of the slider, before and after; they have one colour each."""
    sources = [image.get_attribute("src") for image in person.find_all("#slider img")[:2]]
    reds = [PIL.Image.open(urllib.request.urlopen(src)).convert("RGB").getpixel((9, 9))[0] for src in sources]
    return [5 * round(red / 5) for red in reds]  # the pictures of the page are compressed


def download(person: Person, place: str, folder: Path) -> Path:
    """The file that a button downloads."""
    folder.mkdir(exist_ok=True)
    wait_for(lambda: person.find(f"button#{place}").is_enabled(), "the button")
    person.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    person.press(place)
    finished = wait_for(
        lambda: [f for f in folder.iterdir() if f.suffix != ".crdownload" and f.stat().st_size], "the file"
    )
    return finished[0]
