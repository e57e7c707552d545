"""An output folder as a run of whole photographs leaves it, drawn and written without a network; for tests of reports."""

from __future__ import annotations

import hashlib
import html.parser
import io
import json
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

STRENGTH = {"strength": "medium", "expected_gain": {"light": 0.4, "medium": 1.25}}
UNTREATED = {"strength": "none", "expected_gain": {"light": -0.7, "medium": -1.5}}
FACES = [
    {"number": 1, "box": [20, 30, 50, 66], "score": 0.987, "stages": [{"stage": "restore", "strength": [STRENGTH]}], "kept_detail": {"trust": 0.25}},
    {"number": 2, "box": [80, 30, 110, 66], "score": 0.91, "stages": [{"stage": "restore", "strength": [UNTREATED]}], "kept": "undamaged"},
    {"number": 3, "box": [10, 100, 28, 122], "score": 0.7, "left_out": "18 px wide, under select.min_side 24"},
]  # fmt: skip
"""A face of each kind in a photograph of 160 x 130 pixels."""


def drawn(seed: int, width: int = 160, height: int = 130) -> np.ndarray:
    """A smooth uint8 (H, W, 3) picture of slowly varying colours."""
    rng = np.random.Generator(np.random.Philox(seed))
    small = PIL.Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), PIL.Image.Resampling.BICUBIC))


@dataclass
class DrawnRun:
    """Inputs in `base/in`, results and records in `base/out`."""

    base: Path
    failures: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in (self.inputs, self.out):
            folder.mkdir(parents=True, exist_ok=True)
        run = {"chain": {"name": "photo", "chain": ["mend"]}, "seed": 7, "versions": {"odekit": "9.9"}}
        (self.out / "run.json").write_text(json.dumps(run))

    @property
    def inputs(self) -> Path:
        return self.base / "in"

    @property
    def out(self) -> Path:
        return self.base / "out"

    def add(self, name: str, before: np.ndarray, after: np.ndarray, **entries: Any) -> Path:
        """Write an input, its result and its record; returns the path of the record."""
        PIL.Image.fromarray(before).save(self.inputs / name)
        PIL.Image.fromarray(after).save(self.out / name)
        size = [before.shape[1], before.shape[0]]
        record = {
            "input": {"path": str(self.inputs / name), "sha256": digest(self.inputs / name)}, "calls": 22, "seconds": 1.5,
            "stages": [{"place": "0", "stage": "mend", "size": size, "mended": []}], "chain": {"name": "photo"},
            "output": {"path": str(self.out / name), "bytes": 5, "sha256": digest(self.out / name)},
        } | entries  # fmt: skip
        path = self.out / f"{name}.json"
        path.write_text(json.dumps(record))
        return path

    def add_photo(self, name: str = "family.png", faces: Any = FACES, **entries: Any) -> Path:
        """A photograph whose first face became lighter."""
        before, after = drawn(1), drawn(1).copy()
        after[30:66, 20:50] = np.minimum(after[30:66, 20:50].astype(int) + 60, 255)
        return self.add(name, before, after, **({"stages": [faces_stage(faces)]} | entries))

    def fail(self, name: str, error: str) -> None:
        """List a failed input."""
        self.failures.append({"input": str(self.inputs / name), "error": f"{self.inputs / name}: {error}"})
        (self.out / "failures.json").write_text(json.dumps(self.failures))


def faces_stage(faces: Any, size: tuple[int, int] = (160, 130)) -> dict[str, Any]:
    """The stage `faces` of a record."""
    return {"place": "0", "stage": "faces", "size": list(size), "faces": faces}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Element:
    """An element of a page: its tag, attributes and the text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, tag: str = "", css_class: str = "") -> list[Element]:
        """The elements inside with this tag and class."""
        found = []
        for child in self.inside:
            if tag in ("", child.tag) and (not css_class or css_class in child.attributes.get("class", "").split()):
                found.append(child)
            found += child.all(tag, css_class)
        return found

    def layers(self) -> dict[str, dict[str, Any]]:
        """The layers of a picture's section, by label."""
        return {layer["label"]: layer for layer in json.loads(self.all("script", "layers")[0].text)}


class Parser(html.parser.HTMLParser):
    """Builds a tree of elements."""

    VOID = frozenset(("img", "input", "meta", "link", "br"))

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def parse(text: str) -> Element:
    """The page as a tree; every element must be closed in order."""
    parser = Parser()
    parser.feed(text)
    assert len(parser.open) == 1
    return parser.open[0]


def sections(page: Element) -> dict[str, Element]:
    """The sections of the pictures, by their names."""
    return {section.all("h2")[0].text: section for section in page.all("section", "photo")}


def decoded(uri: str) -> np.ndarray:
    """The pixels of a picture in a data URI."""
    assert uri.startswith("data:image/")
    return np.asarray(PIL.Image.open(io.BytesIO(b64decode(uri.partition(",")[2]))).convert("RGB"))
