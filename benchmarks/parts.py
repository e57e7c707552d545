"""Parts outside a chain, created as in a chain."""

from __future__ import annotations

from typing import Any

from odekit.chains import document
from odekit.chains.resolve import Resolver
from odekit.chains.tools import PartTools
from odekit.core.device import resolve_device
from odekit.core.precision import resolve_precision
from odekit.parts.installed import catalog


def make_part(kind: str, text: str, device: str, precision: str) -> Any:
    """A part by name, or by a YAML mapping with its options.

    Args:
        kind: of the part; the command line option of the same name is named in errors.
        text: the name or mapping.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, float32, tf32, bfloat16, float16 or int8.

    Raises:
        ConfigError: unknown part or option, with the nearest name.
        WeightsError: its weights are absent.
        DeviceError: no such device.
    """
    return make_raw(kind, document.parse_yaml(text, f"--{kind}").data, device, precision)


def make_raw(kind: str, raw: Any, device: str, precision: str) -> Any:
    """A part from parsed YAML; see `make_part`."""
    where = resolve_device(device)
    part = Resolver(catalog(), document.Document(raw, f"--{kind}", {})).part(kind, raw, ())
    return PartTools(catalog(), where, resolve_precision(precision, where)).make(part)
