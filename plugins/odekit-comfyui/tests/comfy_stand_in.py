"""A small stand-in for what the pack uses of ComfyUI: written for these tests, from how the interface is used."""

import sys
import types
from typing import ClassVar


class Slot:
    """An input or output of a node."""

    def __init__(self, kind, id=None, **facts):
        self.kind, self.id, self.facts = kind, id, facts


def kind(name):
    return types.SimpleNamespace(
        Input=lambda id, **facts: Slot(name, id, **facts), Output=lambda **facts: Slot(name, **facts)
    )


class Interrupted(Exception):
    """What ComfyUI raises when the user interrupts: an ordinary exception."""


class ProgressBar:
    """Remembers the values; interrupts at one of them."""

    moved: ClassVar[list] = []
    interrupt_at: ClassVar[int | None] = None

    def __init__(self, total):
        self.total = total

    def update_absolute(self, value, total=None, preview=None):
        type(self).moved.append((value, total))
        if self.interrupt_at is not None and len(type(self).moved) >= self.interrupt_at:
            raise Interrupted("interrupted")


class NodeOutput:
    def __init__(self, *values):
        self.values = values


class Schema:
    def __init__(self, **facts):
        vars(self).update(facts)


class ComfyNode:
    """Base of nodes."""


class ComfyExtension:
    """Base of extensions."""


def install(monkeypatch):
    """Put the stand-in where the pack imports ComfyUI from."""
    io = types.SimpleNamespace(
        Custom=kind, ComfyNode=ComfyNode, Schema=Schema, NodeOutput=NodeOutput,
        **{name: kind(name.upper()) for name in ("Image", "Mask", "Combo", "Int", "Float", "Boolean", "String")},
    )  # fmt: skip
    names = {"comfy_api": {}, "comfy_api.latest": {"ComfyExtension": ComfyExtension, "io": io}, "comfy": {}, "comfy.utils": {"ProgressBar": ProgressBar}}  # fmt: skip
    for name, values in names.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    ProgressBar.moved, ProgressBar.interrupt_at = [], None
