"""Options of `odekit train mender`. Importing this loads no torch."""

from __future__ import annotations

from pydantic import Field, model_validator

from odekit.training.options.base import (
    ComposedRunOptions,
    Count,
    Fraction,
    OptimiserOptions,
    Positive,
    TrainingOptions,
)

BLOCK = 8
"""Side of a JPEG block: crops are cut at a random offset of the block grid."""


class ScratchDamageOptions(TrainingOptions):
    """Scratches that the network learns to detect, and other degradations of the crops."""

    clean: Fraction = 0.2
    """Share of crops without scratches."""
    marks: Count = 4
    """Largest number of scratches (or groups of cracks or specks) in a crop."""
    cracks: Fraction = 0.6
    """Share of marks that are cracks of the emulsion or flakes that came off; the others are scratches and dust."""
    dark: float = Field(default=0.28, ge=0, le=0.88)
    """Share of marks that are dark dirt. An eighth have a random colour; the others show bare paper."""
    largest: int = Field(default=800, ge=96)
    """Scratches are as wide as those of `odekit degrade --kind scratches` in photographs whose shorter side is between
    96 and this."""
    compressed: Fraction = 0.4
    """Share of JPEG-compressed crops, compressed before or after the scratches."""
    jpeg: int = Field(default=25, ge=1, le=95)
    """Lowest JPEG quality; the highest is 95."""
    grainy: Fraction = 0.25
    """Share of crops with noise."""
    noise: Fraction = 0.06
    """Largest standard deviation of the noise, for pixels in [0, 1]."""
    soft: Fraction = 0.3
    """Share of crops that are slightly softened after the scratches, as by a scanner."""
    blurred: Fraction = 0.15
    """Share of crops that are blurred before the scratches."""
    blur: float = Field(default=1.5, ge=0, le=16)
    """Largest standard deviation of a Gaussian blur in pixels; disc and motion blur have the same spread."""


class ScratchOptions(ComposedRunOptions):
    """All options of `odekit train mender`. Example: `configs/train/mender.yaml`."""

    side: int = Field(default=256, ge=64)
    """Side at which the aligned faces are read."""
    crop: int = Field(default=128, ge=16)
    """Side of a training crop."""
    widths: tuple[int, ...] = Field(default=(32, 64, 96, 96), min_length=2)
    """Channels at 1/2, 1/4, 1/8, ... of the side."""
    pairs: tuple[int, ...] = (1, 1, 1, 1)
    """Residual pairs of convolutions at these resolutions, in the encoder and again in the decoder."""
    batch: Count = 8
    smallest: Positive = Field(default=0.4, le=1)
    """Smallest scale of a crop. A sixth of the crops are enlarged instead, at most twice: edges of all widths occur."""
    exact: Fraction = 0.5
    """Share of crops at the original scale, without resampling: otherwise unresampled pixels would reveal scratches."""
    scenes: Fraction = 0.25
    """Share of crops from photographs without people."""
    pool: Count = 600
    fresh: Count = 2
    scene_side: int = Field(default=1024, ge=128)
    """Larger photographs without people are reduced to this side."""
    drawn: Fraction = 0.5
    """Share of crops with drawn ropes, planks, bars, wires, strands, edges and letters, which must stay."""
    leaves: Fraction = 0.25
    """Share of crops with drawn shapes that hide each other, in the colours of the crop (`dead_leaves`)."""
    colourless: Fraction = 0.4
    """Share of grey pictures; half of them are toned."""
    damage: ScratchDamageOptions = ScratchDamageOptions()
    optimiser: OptimiserOptions = OptimiserOptions(
        lr=2e-3, weight_decay=0.0, clip=0.5, warmup=100, decay="cosine", decay_from=0.05
    )
    validation: Count = 16
    """Number of validation pictures (the first ones), each used clean, scratched, and scratched and compressed."""
    samples: int = Field(default=3, ge=0)
    """Pictures on a sample sheet, for each kind of damage: input, predicted mask, true mask; 0 draws none."""

    @model_validator(mode="after")
    def _crops(self) -> ScratchOptions:
        if len(self.pairs) != len(self.widths):
            raise ValueError(f"pairs needs {len(self.widths)} entries, one per width, not {len(self.pairs)}")
        multiple = 2 ** len(self.widths)
        if self.crop % multiple or self.side % multiple:
            raise ValueError(f"crop {self.crop} and side {self.side} must be multiples of {multiple}")
        if self.crop + BLOCK > self.side:
            raise ValueError(f"crop {self.crop} is too large for pictures of {self.side}")
        return self
