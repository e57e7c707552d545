"""How a prior was trained: odekit's `odekit.json` and diffusers' scheduler configuration. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from odekit.core.files import read_json_object
from odekit.core.schedule import NoiseSchedule
from odekit.core.spelling import nearest
from odekit.errors import WeightsError

Prediction = Literal["epsilon", "v", "sample"]
METADATA_FILE = "odekit.json"


class Betas(BaseModel):
    """The noise schedule in `odekit.json`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["linear", "scaled-linear", "cosine", "sigmoid", "given"] = "linear"
    start: float = 1e-4
    end: float = 0.02
    steps: int = Field(default=1000, ge=2, le=100_000)
    values: list[float] | None = None
    """The betas, for kind `given`."""

    def schedule(self) -> NoiseSchedule:
        """The noise schedule of these betas.

        Raises:
            ValueError: the cumulative signal levels do not decrease strictly.
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
    """`odekit.json`: properties that diffusers' files do not contain. Keys are optional; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)

    shape: tuple[int, int, int] | None = None
    """(3, H, W) of the images."""
    patch: int = Field(default=1, ge=1)
    """Pixel-unshuffle by this factor before the network, pixel-shuffle after it."""
    prediction: Prediction | None = None
    betas: Betas | None = None
    range: tuple[float, float] = (-1.0, 1.0)
    """Range of clean data; only [-1, 1] is supported."""
    heads: int | None = Field(default=None, ge=1)
    """Number of attention heads at every width (config.json can only fix the width of a head)."""
    dtype: str | None = None
    """Type of the stored weights; information only."""
    about: dict[str, Any] = Field(default_factory=dict)
    """Where the weights come from; information only."""


def read_metadata(folder: Path, unet: Path) -> Metadata:
    """`odekit.json` of a prior folder, or of its `unet/`; all defaults if there is none.

    Raises:
        WeightsError: an unknown key (the message names the nearest valid one), a wrong type, or data outside [-1, 1].
    """
    path = next((parent / METADATA_FILE for parent in (folder, unet) if (parent / METADATA_FILE).is_file()), None)
    if path is None:
        return Metadata()
    try:
        # Validated as JSON: a list is valid as a tuple and 1 as a float, but "1" is not a number.
        meta = Metadata.model_validate_json(json.dumps(read_json_object(path)))
    except ValidationError as error:
        raise WeightsError(f"{path}: {_first_error(error)}") from error
    if meta.range != (-1.0, 1.0):
        raise WeightsError(f"{path}: range is {list(meta.range)}; only priors of data in [-1, 1] are supported")
    return meta


def _first_error(error: ValidationError) -> str:
    """The first fault, with the nearest valid key for an unknown one."""
    fault = error.errors()[0]
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] != "extra_forbidden":
        return f"{key}: {fault['msg']}"
    valid = (Betas if len(fault["loc"]) > 1 else Metadata).model_fields
    return f"unknown key {key!r}{nearest(str(fault['loc'][-1]), valid)}"


def read_scheduler(folder: Path, unet: Path) -> dict[str, Any]:
    """The scheduler configuration of diffusers, from any of its usual places; empty if there is none."""
    for path in (unet / "scheduler_config.json", folder / "scheduler_config.json"):
        if path.is_file():
            return read_json_object(path)
    nested = folder / "scheduler" / "scheduler_config.json"
    return read_json_object(nested) if nested.is_file() else {}


def prediction_type(meta: Metadata, scheduler: Mapping[str, Any], where: Path) -> Prediction:
    """What the network predicts: from `odekit.json`, else from the scheduler, else epsilon.

    Raises:
        WeightsError: the scheduler has an unsupported prediction type.
    """
    predictions: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample"}
    name = scheduler.get("prediction_type", "epsilon")
    if meta.prediction is None and name not in predictions:
        raise WeightsError(f"{where}: prediction_type {name!r} of the scheduler is not one of {', '.join(predictions)}")
    return meta.prediction or predictions[name]


def noise_schedule(meta: Metadata, scheduler: Mapping[str, Any], where: Path) -> NoiseSchedule:
    """The noise schedule: from `odekit.json`, else from the scheduler, else DDPM's.

    Raises:
        WeightsError: the schedule is not strictly decreasing, or of an unsupported kind.
    """
    try:
        betas = meta.betas or _from_scheduler(scheduler)
        return betas.schedule()
    except ValidationError as error:
        raise WeightsError(f"{where}: the noise schedule cannot be used: {_first_error(error)}") from error
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{where}: the noise schedule cannot be used: {error}") from error


def _from_scheduler(scheduler: Mapping[str, Any]) -> Betas:
    """Betas from diffusers' scheduler configuration. Raises ValueError or TypeError if they are not supported."""
    if scheduler.get("rescale_betas_zero_snr"):
        raise ValueError("rescale_betas_zero_snr leaves no signal at the highest level, where eps is undefined")
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
