"""Options of the stage `faces` and of the built-in detector. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Limits
from pydantic import field_validator, model_validator

from odekit.core.options import ChainRef, DetectorRef, MaskRef, Options, Part


class BuiltinDetector(Options):
    """Options of the detector `builtin`: OpenCV's cascades propose, the aligner decides."""

    part = "builtin"
    score: float = Limits(default=0.6, ge=0, le=1)
    """How face-like the aligned crop must be, by the aligner: 0.6 drops nearly all false boxes."""
    smallest: int = Limits(default=20, ge=8)
    """Side in pixels of the smallest face looked for (ear to ear)."""
    largest_side: int = Limits(default=1600, ge=64)
    """Photographs are searched at this side at most; points are then refined in the photograph itself."""
    turned: bool = True
    """Look at half-size copies turned by 25 degrees either way as well."""
    weights: str = Limits(default="aligner", min_length=1)
    """The aligner: registered weights; or, with a slash in it, a folder that `odekit train aligner` wrote."""


class Select(Options):
    """Which of the found faces are restored."""

    which: Literal["all", "largest", "centre", "index"] = "all"
    """All; the largest; the nearest to the middle of the photograph; or those of `index`."""
    index: list[int] = Limits(default=[])
    """Numbers as `odekit faces` draws them, from 1; with `which: index`."""
    skip: list[int] = Limits(default=[])
    """Numbers that are left as they are."""
    min_side: float = Limits(default=24.0, ge=0)
    """Smallest width of a face, ear to ear, in pixels of the photograph."""
    max_faces: int | None = Limits(default=None, ge=1)
    """At most so many, the largest."""
    score: float = Limits(default=0.0, ge=0, le=1)
    """Smallest score, whatever the detector."""
    overlap: float = Limits(default=0.4, ge=0, le=1)
    """Of two faces whose boxes overlap by more (intersection over union), the better one stays."""
    boxes: list[list[float]] | str | None = None
    """Boxes (x0, y0, x1, y1, ear to ear and brows to chin, in pixels of the upright photograph) instead of a
    detector's; or a JSON file that maps file names to such lists."""

    @field_validator("boxes")
    @classmethod
    def _boxes(cls, value: list[list[float]] | str | None) -> list[list[float]] | str | None:
        for box in value if isinstance(value, list) else []:
            if len(box) != 4 or box[2] <= box[0] or box[3] <= box[1]:
                raise ValueError("a box is [x0, y0, x1, y1] with x0 < x1 and y0 < y1")
        return value

    @model_validator(mode="after")
    def _numbers(self) -> Select:
        if (self.which == "index") != bool(self.index):
            raise ValueError("'which: index' and 'index: [1, ...]' belong together")
        if any(number < 1 for number in [*self.index, *self.skip]):
            raise ValueError("faces are numbered from 1")
        return self


class Align(Options):
    """How a face is cut out."""

    template: Literal["ffhq-5"] = "ffhq-5"
    side: int = Limits(default=512, ge=16, le=4096)
    """Side of the aligned face in pixels; each stage of `each` takes from it what it needs."""
    border: Literal["reflect", "edge", "black"] = "reflect"
    """What lies beyond the photograph."""


class Paste(Options):
    """How a restored face is put back."""

    mask: MaskRef = "ellipse"
    """What of the face is put back: a part such as `ellipse`, `square`, or odekit-facexlib's `parsenet`."""
    feather: float = Limits(default=0.08, gt=0, le=0.5)
    """Width of the mask's soft edge, as a fraction of the aligned face's side; a mask that has an edge of its own gets
    this one at the border of the crop."""
    match_colour: Literal["lab-mean", "none"] = "lab-mean"
    """Shift the face's colours so that the ring at the mask's edge has the mean of the photograph's."""
    blend: float = Limits(default=1.0, ge=0, le=1)
    """0 leaves the photograph as it is, 1 takes the restored face."""
    detail: Literal["auto"] | float = "auto"
    """How much of the original's detail stays that is finer than the narrowest picture the face went through: 0 none,
    1 all, `auto` by how sharp and clean the original is."""
    undamaged: Literal["keep", "replace"] = "keep"
    """A face for which `iterations: auto` chose no strength: it stays bit for bit unless it is blurred (`keep`; in a
    photograph that is not enlarged), or is replaced all the same."""
    upscale: float | None = Limits(default=None, gt=0, le=16)
    """Size of the result over that of the photograph. None: as large as the background's chain makes it."""

    @field_validator("detail")
    @classmethod
    def _share(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 <= value <= 1:
            raise ValueError("'auto' or a number from 0 to 1")
        return value


class Faces(Options):
    """The stage `faces`: find the faces of a photograph, run a chain on each, put them back."""

    part = "faces"
    detect: DetectorRef = "builtin"
    select: Select = Select()
    align: Align | Literal["none"] = Align()
    """`none`: the picture is an aligned face already; nothing is searched, cut out or pasted."""
    each: ChainRef
    """Stages for every face; the faces of all photographs in flight share network batches."""
    background: ChainRef = None
    """Stages for the photograph itself; None leaves its pixels as they are."""
    paste: Paste = Paste()
    tone: Literal["keep", "free"] = "keep"
    """`keep`: faces of a monochrome, toned or faded photograph come back in its own tone."""
    failed: Literal["fail", "keep"] = "fail"
    """A face that cannot be restored fails its photograph, or is left as it is (and its record says so)."""
    require_face: bool = False
    """A photograph without a face is a failure; otherwise only its background is restored."""

    @field_validator("each", "background")
    @classmethod
    def _plain(cls, value: tuple[Part, ...] | None) -> tuple[Part, ...] | None:
        for part in value or ():
            if part.name == "faces":
                raise ValueError("a face stage inside a face stage: faces are searched in the whole photograph only")
            if part.name == "save":
                raise ValueError("'save' belongs at the end of the chain, not inside 'faces'")
        return value

    def describe(self) -> str:
        """How faces are found, which are chosen, and how they are put back."""
        found = self.detect.short() if self.select.boxes is None else "boxes given"
        return f"{found}; select {self.select.which}; paste {self.paste.mask.short()}"

    def per_face(self, key: str) -> bool:
        """`each` runs for every face that is found; with `align: none` the picture is the face."""
        return key == "each" and self.align != "none"
