"""Options of the stages `mend` and `denoise`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Limits
from pydantic import field_validator

from odekit.core.abilities import Package
from odekit.core.options import Options, PicturesPath

Switch = Literal["auto"] | bool
"""`auto`: repair damage above a threshold; true: always repair; false: never."""


PHOTOS = "pip install 'odekit[photos]'"


class Mend(Options):
    """The stage `mend`: detect and repair JPEG blocks, scratches, blur and fading of a photograph."""

    part = "mend"
    blocks: Switch = "auto"
    """Remove JPEG blocks; `auto`: if their strength is at least `least_blocks`."""
    least_blocks: float = Limits(default=2.6, ge=0)
    """Threshold of the blocks' strength; 1 is no visible blocks (`odekit.parts.repair.damage_signs.measure_blocks`)."""
    scratches: Switch = False
    """Find and fill scratches and cracks of a print. `auto`: in monochrome prints (grey or toned) in which the total
    length of sure ones is at least `least_scratches`; true: in any picture in which a sure one is found; false: never,
    because ropes and wires of an undamaged photograph can look like scratches."""
    least_scratches: float = Limits(default=1.0, ge=0)
    """Threshold of the total length of the sure scratches, over the photograph's shorter side."""
    sure: float = Limits(default=0.85, gt=0, lt=1)
    """Threshold of the network's probability of "scratched" that a sure scratch must reach. If a monochrome picture has
    them, less sure ones (0.3) are filled, too."""
    mask: PicturesPath | None = Limits(default=None, min_length=1)
    """A picture of the photograph's size, white where to fill: nothing is searched, and exactly these pixels and those
    that touch them change. Or a folder with such a picture for each photograph, with the same name up to the ending (or
    NAME.scratches.png, as runs write them); photographs without one are treated as `scratches` says."""
    blur: Switch = "auto"
    """Sharpen a uniformly blurred photograph; `auto`: if the blur is at least `least_blur` and no JPEG blocks were
    removed, because sharpening amplifies the artefacts that are left; true: for any measurable blur."""
    least_blur: float = Limits(default=1.2, gt=0)
    """Threshold of the blur's standard deviation in pixels (for defocus: half the radius of the disc)."""
    fading: Switch = False
    """Stretch the contrast of a faded print; `auto`: of monochrome prints (grey or toned) that have lost at least
    `least_fading` of it; true: of any picture that has lost some; false: never, because fog looks alike."""
    least_fading: float = Limits(default=0.2, ge=0, lt=1)
    """Threshold of the lost share of the contrast."""
    weights: str = Limits(default="mend", min_length=1)
    """Weights of the scratch network: a registered name, or (with a slash in it) a folder written by `odekit train
    mender`."""
    amount: float = Limits(default=1.0, gt=0, le=1)
    """Fraction of each correction that is applied; less than 1 leaves some of the damage."""

    @property
    def fills(self) -> bool:
        """Whether scratches may be filled: found ones, or those of a mask."""
        return self.scratches is not False or self.mask is not None

    def packages(self) -> list[Package]:
        """OpenCV, if scratches may be filled."""
        return [Package("cv2", PHOTOS)] if self.fills else []

    def weight_names(self) -> list[str]:
        """The weights of the scratch network; none if no scratches are searched."""
        return [] if self.scratches is False else [self.weights]

    @property
    def extras(self) -> list[str]:
        """`scratches`: the mask of what was filled, written beside the result as NAME.scratches.png."""
        return ["scratches"] if self.fills else []


class Denoise(Options):
    """The stage `denoise`: measure the noise of a photograph and remove it."""

    part = "denoise"
    noise: Literal["auto"] | float = "auto"
    """Standard deviation of the noise, for pixels in [0, 1]; `auto` measures it in each photograph, film grain and
    noise under JPEG compression included."""
    smallest: int = Limits(default=0, ge=0)
    """Pictures whose shorter side is less than this, in pixels, stay unchanged and are not measured."""
    least: float = Limits(default=0.02, ge=0, le=1)
    """Photographs with less noise stay unchanged, bit for bit. 0.02 is five of 255 levels."""
    least_grain: float = Limits(default=0.03, ge=0, le=1)
    """Coarse noise is more visible than its standard deviation says: grain is also removed if it is as visible as white
    noise of this standard deviation (`noise_visible` in the record)."""
    impulses: Switch = "auto"
    """Replace impulses (salt and pepper, values replaced at random); `auto`: if their share is at least
    `least_impulses`; true: if any are measured."""
    least_impulses: float = Limits(default=0.005, ge=0, le=1)
    """Threshold of the share of replaced values. Clean photographs and textures reach 0.002."""
    amount: float = Limits(default=1.0, gt=0, le=4)
    """Strength of the denoising, as a multiple of the noise: less leaves grain, more also smooths texture."""

    @field_validator("noise")
    @classmethod
    def _check_range(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 < value <= 1:
            raise ValueError("must be 'auto' or a number above 0 and up to 1")
        return value
