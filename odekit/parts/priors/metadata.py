"""The files that say how a prior was trained: our `odekit.json` and diffusers' scheduler configuration. No torch."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from odekit.core.files import read_json_object
from odekit.core.schedule import NoiseSchedule
from odekit.errors import WeightsError

Prediction = Literal["epsilon", "v", "sample"]
METADATA = "odekit.json"


class Betas(BaseModel):
    """Noise levels in `odekit.json`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["linear", "scaled-linear", "cosine", "sigmoid", "given"] = "linear"
    start: float = 1e-4
    end: float = 0.02
    steps: int = Field(default=1000, ge=2, le=100_000)
    values: list[float] | None = None
    """The betas themselves, for kind `given`."""

    def schedule(self) -> NoiseSchedule:
        """The noise levels that these betas mean.

        Raises:
            ValueError: they do not make a falling sequence of levels.
        """
        if self.kind == "given":
            return NoiseSchedule.from_betas(self.values or [])
        if self.kind == "cosine":
            return NoiseSchedule.cosine(self.steps)
        if self.kind == "scaled-linear":
            return NoiseSchedule.scaled_linear(self.start, self.end, self.steps)
        if self.kind == "sigmoid":
            # GeoDiff (arXiv:2203.02923), as diffusers writes it: a logistic curve over [-6, 6].
            curve = 1.0 / (1.0 + np.exp(-np.linspace(-6.0, 6.0, self.steps)))
            return NoiseSchedule.from_betas(self.start + (self.end - self.start) * curve)
        return NoiseSchedule.linear(self.start, self.end, self.steps)


class Metadata(BaseModel):
    """`odekit.json`: what diffusers' files cannot say. Every key is optional; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    shape: tuple[int, int, int] | None = None
    """(3, H, W) of the pictures."""
    patch: int = Field(default=1, ge=1)
    """Pixel-unshuffle by this factor before the network, pixel-shuffle after it."""
    prediction: Prediction | None = None
    betas: Betas | None = None
    range: tuple[float, float] = (-1.0, 1.0)
    """Values of clean data; only [-1, 1] is supported."""
    heads: int | None = Field(default=None, ge=1)
    """The same number of attention heads at every width (config.json can only fix the width of a head)."""
    dtype: str | None = None
    """How the weights are stored; for readers only."""
    about: dict[str, Any] = Field(default_factory=dict)
    """Where the weights come from; for readers only."""


def read_metadata(folder: Path, unet: Path) -> Metadata:
    """`odekit.json` of a prior folder, or of its `unet/`; all defaults where there is none.

    Raises:
        WeightsError: an unknown key (the nearest known one is named), a wrong type, or data outside [-1, 1].
    """
    path = next((place / METADATA for place in (folder, unet) if (place / METADATA).is_file()), None)
    if path is None:
        return Metadata()
    try:
        # Validated as JSON, where a list is a tuple and 1 is a float, yet "1" is no number.
        meta = Metadata.model_validate_json(json.dumps(read_json_object(path)))
    except ValidationError as error:
        raise WeightsError(f"{path}: {_first(error)}") from error
    if meta.range != (-1.0, 1.0):
        raise WeightsError(f"{path}: range is {list(meta.range)}; only priors of data in [-1, 1] are supported")
    return meta


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(map(str, fault["loc"]))
    if fault["type"] != "extra_forbidden":
        return f"{place}: {fault['msg']}"
    known = list((Betas if len(fault["loc"]) > 1 else Metadata).model_fields)
    near = difflib.get_close_matches(str(fault["loc"][-1]), known, 1)
    return f"unknown key {place!r}; " + (f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}")


def read_scheduler(folder: Path, unet: Path) -> dict[str, Any]:
    """The scheduler configuration of diffusers, wherever the folder keeps it; empty where there is none."""
    for path in (unet / "scheduler_config.json", folder / "scheduler_config.json"):
        if path.is_file():
            return read_json_object(path)
    nested = folder / "scheduler" / "scheduler_config.json"
    return read_json_object(nested) if nested.is_file() else {}


def prediction_of(meta: Metadata, scheduler: Mapping[str, Any], where: Path) -> Prediction:
    """What the network predicts: `odekit.json` first, then the scheduler, then epsilon.

    Raises:
        WeightsError: the scheduler names a prediction that we do not know.
    """
    known: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample"}
    said = scheduler.get("prediction_type", "epsilon")
    if meta.prediction is None and said not in known:
        raise WeightsError(f"{where}: prediction_type {said!r} of the scheduler is not one of {', '.join(known)}")
    return meta.prediction or known[said]


def schedule_of(meta: Metadata, scheduler: Mapping[str, Any], where: Path) -> NoiseSchedule:
    """The noise levels: `odekit.json` first, then the scheduler, then DDPM's.

    Raises:
        WeightsError: they are no falling sequence of levels, or of a kind that we do not know.
    """
    try:
        betas = meta.betas or _from_scheduler(scheduler)
        return betas.schedule()
    except ValidationError as error:
        raise WeightsError(f"{where}: its noise levels cannot be used: {_first(error)}") from error
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{where}: its noise levels cannot be used: {error}") from error


def _from_scheduler(scheduler: Mapping[str, Any]) -> Betas:
    if scheduler.get("rescale_betas_zero_snr"):
        raise ValueError("rescale_betas_zero_snr leaves no signal at the top level, where eps is undefined")
    if scheduler.get("trained_betas") is not None:
        return Betas(kind="given", values=[float(b) for b in scheduler["trained_betas"]])
    kinds: dict[str, Literal["linear", "scaled-linear", "cosine", "sigmoid"]] = {
        "linear": "linear",
        "scaled_linear": "scaled-linear",
        "squaredcos_cap_v2": "cosine",
        "sigmoid": "sigmoid",
    }
    name = scheduler.get("beta_schedule", "linear")
    if name not in kinds:
        raise ValueError(f"beta_schedule {name!r} is not one of {', '.join(kinds)}")
    return Betas(
        kind=kinds[name],
        start=float(scheduler.get("beta_start", 1e-4)),
        end=float(scheduler.get("beta_end", 0.02)),
        steps=int(scheduler.get("num_train_timesteps", 1000)),
    )
