"""Nodes of ComfyUI that restore faces with odekit (interface V3).

Modules of this package import each other relatively: ComfyUI loads the pack under a name of its own.
"""

from __future__ import annotations

from typing import Any


async def comfy_entrypoint() -> Any:
    """The extension with all nodes; ComfyUI calls this once."""
    from .nodes import OdekitExtension

    return OdekitExtension()
