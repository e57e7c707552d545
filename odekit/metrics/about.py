"""What a metric says of itself beside its number: name, unit, which way is better, what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class About:
    """Facts for tables and reports."""

    name: str
    label: str
    unit: str = ""
    better: Literal["higher", "lower", "nearest"] = "higher"
    best: float | None = None
    """The best value, where `better` is "nearest"."""
    of: Literal["pair", "set"] = "pair"
    """One number for each pair of pictures, or one for two sets of pictures."""
    meaning: str = ""


def about(name: str, metric: Any, meaning: str = "") -> About:
    """The facts of a metric: its class attributes `label`, `unit`, `lower_is_better` and `best`, where it has them."""
    best = getattr(metric, "best", None)
    better: Literal["higher", "lower", "nearest"] = "lower" if metric.lower_is_better else "higher"
    return About(
        name,
        getattr(metric, "label", name),
        getattr(metric, "unit", ""),
        "nearest" if best is not None else better,
        best,
        "set" if hasattr(metric, "collect") else "pair",
        meaning,
    )
