"""odekit's nodes, as ComfyUI loads them: the folder that holds this file lies in `custom_nodes`."""

from .odekit_comfyui import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
