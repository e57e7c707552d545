"""Makes the pictures of docs/web.md in a real Chromium: python plugins/odekit-web/tests/screenshots.py docs/web."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import PIL.Image

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent.parent / "tests")]
from browsing import chromium  # noqa: E402
from damaged import damaged_photo  # noqa: E402
from driving import Person, wait_for  # noqa: E402

PORT = 7869
WIDTH = 1000


def save(person: Person, path: Path, first: str, last: str) -> None:
    """The page from the top of one element to the bottom of another."""
    driver = person.driver
    driver.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    size = driver.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
    spot: Any = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.top, r.bottom]"
    top, bottom = driver.execute_script(spot, first)[0], driver.execute_script(spot, last)[1]
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"} | {
        "clip": {"x": 0, "y": max(0, top - 12), "width": size[0], "height": bottom - top + 24, "scale": 1}
    })  # fmt: skip
    import base64

    picture = PIL.Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    picture.thumbnail((WIDTH, 2 * WIDTH))
    picture.save(path, quality=82, optimize=True)


def make(out: Path, address: str, folder: Path) -> None:
    """All pictures."""
    photo = damaged_photo(folder / "astronaut.png", noise=0.2)
    with chromium(1280, 1500) as driver:
        person = Person(driver, address)
        save(person, out / "upload.jpg", "h1", "#clear")
        person.upload(photo)
        wait_for(lambda: person.find_all("#boxes img"), "the boxes")
        save(person, out / "faces.jpg", "h1", "#ticks")
        person.press("restore")
        wait_for(lambda: person.value("state") == "done", "the result")
        wait_for(lambda: len(person.find_all("#slider img")) >= 2, "the slider")
        save(person, out / "slider.jpg", "#state", "#picture")
        whole = person.source("slider")
        person.choose("views", "face 1")
        wait_for(lambda: person.source("slider") != whole, "the face")
        save(person, out / "face.jpg", "#views", "#picture")
        print(person.value("lines"))


def main() -> None:
    """Start the page, and take the pictures."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"ODEKIT_HOME": f"{folder}/home", "TMPDIR": folder}
        server = subprocess.Popen([sys.executable, "-m", "odekit", "web", "--port", str(PORT)], env=env)
        try:
            import urllib.error
            import urllib.request

            def up() -> bool:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=20).close()
                except (urllib.error.URLError, OSError):
                    return False
                return True

            wait_for(up, "the page")
            make(out, f"http://127.0.0.1:{PORT}", Path(folder))
        finally:
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    main()
