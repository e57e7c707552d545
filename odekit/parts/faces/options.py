"""Options of the stage `faces` and of the built-in detector. Importing this loads no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field as Limits
from pydantic import field_validator, model_validator

from odekit.core.abilities import Package
from odekit.core.options import FilePath, Options, Part
from odekit.core.references import ChainChoice, DetectorChoice, MaskChoice, named

PHOTOS = "pip install 'odekit[photos]'"


class YunetDetector(Options):
    """Options of the detector `yunet`: what YuNet takes for a face. The aligner refines the points."""

    part = "yunet"
    score: float = Limits(default=0.7, ge=0, le=1)
    """Smallest score of a face, 0 to 1, given by YuNet; most faces have 0.9."""
    smallest: int = Limits(default=16, ge=8)
    """Width of the smallest face to search for (ear to ear), in pixels."""
    largest_side: int = Limits(default=1280, ge=64)
    """Larger photographs are reduced to this side for the search of larger faces."""
    tile: int = Limits(default=1280, ge=256)
    """Largest side of the tiles in which larger photographs are searched for small faces, in pixels."""
    turned: bool = True
    """Also search quarter turns: of a photograph without a face, and of faces that seem to be turned."""
    weights: str = Limits(default="aligner", min_length=1)
    """Weights of the aligner: a registered name, or (with a slash in it) a folder written by `odekit train aligner`."""

    def packages(self) -> list[Package]:
        """OpenCV, which runs YuNet."""
        return [Package("cv2", PHOTOS)]

    def weight_names(self) -> tuple[str, ...]:
        """The weights of the aligner and of YuNet."""
        return self.weights, "yunet"


class BuiltinDetector(YunetDetector):
    """Options of the detector `builtin`: YuNet proposes faces, the aligner refines and scores them."""

    part = "builtin"
    score: float = Limits(default=0.6, ge=0, le=1)
    """Smallest score of a face, 0 to 1: the aligner's, raised where YuNet is sure."""


class FaceSelection(Options):
    """Which of the detected faces are restored."""

    which: Literal["all", "largest", "centre", "index"] = "all"
    """All faces; the largest; the nearest to the centre of the photograph; or those listed in `index`."""
    index: list[int] = Limits(default=[])
    """Face numbers, from 1, as drawn by `odekit faces`; with `which: index`."""
    skip: list[int] = Limits(default=[])
    """Numbers of faces that are not restored."""
    min_side: float = Limits(default=24.0, ge=0)
    """Smallest width of a face, ear to ear, in pixels of the photograph."""
    max_faces: int | None = Limits(default=None, ge=1)
    """Largest number of faces; the largest faces are restored. None: no limit."""
    score: float = Limits(default=0.0, ge=0, le=1)
    """Smallest score, for any detector."""
    overlap: float = Limits(default=0.4, ge=0, le=1)
    """If two boxes overlap by more than this (intersection over union), only the one with the higher score is kept."""
    boxes: list[list[float]] | FilePath | None = None
    """Boxes to use instead of a detector: (x0, y0, x1, y1), ear to ear and brows to chin, in pixels of the upright
    photograph; or a JSON file that maps file names to lists of boxes."""

    @field_validator("boxes")
    @classmethod
    def _boxes(cls, value: list[list[float]] | str | None) -> list[list[float]] | str | None:
        for box in value if isinstance(value, list) else []:
            if len(box) != 4 or box[2] <= box[0] or box[3] <= box[1]:
                raise ValueError("a box is [x0, y0, x1, y1] with x0 < x1 and y0 < y1")
        return value

    @model_validator(mode="after")
    def _numbers(self) -> FaceSelection:
        if (self.which == "index") != bool(self.index):
            raise ValueError("'which: index' and 'index: [1, ...]' belong together")
        if any(number < 1 for number in [*self.index, *self.skip]):
            raise ValueError("faces are numbered from 1")
        return self


class Alignment(Options):
    """How a face is aligned and cropped."""

    template: Literal["ffhq-5"] = "ffhq-5"
    side: int = Limits(default=512, ge=16, le=4096)
    """Side of the aligned face in pixels; each stage of `each` resizes it as it needs."""
    border: Literal["reflect", "edge", "black"] = "reflect"
    """How the crop is filled beyond the border of the photograph."""


class PasteOptions(Options):
    """How a restored face is pasted back."""

    mask: MaskChoice = named("ellipse")
    """The region of the face that is pasted: a part such as `ellipse`, `square`, or odekit-facexlib's `parsenet`."""
    feather: float = Limits(default=0.08, gt=0, le=0.5)
    """Width of the mask's soft edge, as a fraction of the aligned face's side. Masks with an edge of their own get this
    one at the border of the crop."""
    match_colour: Literal["lab-mean", "none"] = "lab-mean"
    """`lab-mean`: shift the face's colours so that the mean over the mask's soft edge equals that of the photograph."""
    blend: float = Limits(default=1.0, ge=0, le=1)
    """Opacity of the restored face: 0 keeps the photograph, 1 replaces it."""
    detail: Literal["auto"] | float = "auto"
    """How much of the original's fine detail is kept, that is, detail finer than the smallest picture in the face's
    chain: 0 none, 1 all, `auto` according to how sharp and clean the original is."""
    undamaged: Literal["keep", "replace"] = "keep"
    """Faces for which `iterations: auto` chose no update. `keep`: they stay unchanged, bit for bit, unless they are
    blurred or the photograph is enlarged. `replace`: they are pasted like the others."""
    upscale: float | None = Limits(default=None, gt=0, le=16)
    """Scale of the result relative to the photograph. None: the size that the background's chain returns."""

    @field_validator("detail")
    @classmethod
    def _share(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 <= value <= 1:
            raise ValueError("'auto' or a number from 0 to 1")
        return value


class Faces(Options):
    """The stage `faces`: detect the faces of a photograph, run a chain on each, paste them back."""

    part = "faces"
    detect: DetectorChoice = named("builtin")
    select: FaceSelection = FaceSelection()
    align: Alignment | Literal["none"] = Alignment()
    """`none`: the picture is an aligned face already; there is no detection, cropping or pasting."""
    each: ChainChoice
    """Stages for every face; the faces of all photographs in progress share network batches."""
    background: ChainChoice = named(None)
    """Stages for the photograph itself; None leaves its pixels unchanged."""
    paste: PasteOptions = PasteOptions()
    tone: Literal["keep", "free"] = "keep"
    """`keep`: faces of a monochrome, toned or faded photograph get the tone of the photograph; `free`: they get
    the colours of the prior, also in a greyscale photograph."""
    failed: Literal["fail", "keep"] = "fail"
    """If a face cannot be restored: `fail` fails its photograph, `keep` keeps the original face and records why."""
    require_face: bool = False
    """If set, a photograph without a face is a failure; otherwise only its background is restored."""

    @field_validator("each", "background")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        for part in value if isinstance(value, (list, tuple)) else ():
            name = part.name if isinstance(part, Part) else ""  # in Python, names and options until a chain takes them
            if name == "faces":
                raise ValueError("a face stage inside a face stage: faces are detected in whole photographs only")
            if name == "save":
                raise ValueError("'save' belongs at the end of the chain, not inside 'faces'")
        return value

    def packages(self) -> list[Package]:
        """scikit-image, in whose Lab colours faces are pasted."""
        return [] if self.align == "none" else [Package("skimage", PHOTOS)]

    def unused_parts(self) -> list[str]:
        """The detector, if boxes are given or the picture is a face."""
        return [] if self.select.boxes is None and self.align != "none" else ["detect"]

    def describe(self) -> str:
        """Detector, selection and paste mask."""
        detector = self.detect.one_line() if self.select.boxes is None else "boxes given"
        return f"{detector}; select {self.select.which}; paste {self.paste.mask.one_line()}"

    def per_face(self, key: str) -> bool:
        """Whether a sub-chain runs once per detected face: `each` does, unless `align: none`."""
        return key == "each" and self.align != "none"
