"""Aliases of module paths used before version 0.2. Each warns once; they will be removed in the next minor version."""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "builtin": ("odekit.parts", "parts.builtin"),
    "interfaces": ("odekit.plugins", "core.interfaces"),
    "options": ("odekit.plugins", "core.options core.references"),
    "image": ("odekit.plugins", "core.image"),
    "rng": ("odekit.plugins", "core.noise"),
    "schedule": ("odekit.plugins", "core.schedule"),
    "grids": ("odekit.plugins", "core.grid"),
    "arithmetic": ("odekit.plugins", "core.precision"),
    "registry": ("odekit.plugins", "plugins.catalog plugins.discovery parts.installed core.spelling"),
    "hookspecs": ("odekit.plugins", "plugins.hooks"),
    "safeload": ("odekit.plugins", "plugins.weights.load plugins.weights.fit core.files"),
    "goldens": ("odekit.testing.goldens", "testing.goldens"),
    "io": ("odekit", "images.io core.files"),
    "engine": ("odekit.runs.engine", "runs.engine"),
    "work": ("odekit.runs.files", "runs.files runs.containment"),
    "session": ("odekit.chains.session", "chains.session chains.tools"),
    "chain": ("odekit", "chains.chain chains.chain_file core.result runs.restore"),
    "upsamplers": ("odekit.plugins", ""),
    "upsamplers.aligned": ("odekit.plugins", "parts.upsamplers.aligned core.image"),
    "upsamplers.compact": ("odekit.parts.upsamplers.compact", "parts.upsamplers.compact"),
    "upsamplers.face_x4": ("odekit.parts.upsamplers.face_x4", "parts.upsamplers.face_x4 plugins.weights.lookup"),
    "upsamplers.files": ("odekit.plugins", "plugins.weights.lookup"),
    "upsamplers.guarded": ("odekit.plugins", "parts.upsamplers.guarded"),
    "upsamplers.recognise": ("odekit.plugins", "plugins.weights.fit plugins.weights.systems"),
    "upsamplers.resize": ("odekit.plugins", "parts.upsamplers.resize images.resize"),
}
"""Old path: (module to import from instead, modules that define its names)."""
RENAMED = {
    "Batches": "BatchRunner",
    "Finished": "PendingResult",
    "LEAST": "MIN_SIDE",
    "Output": "OutputSettings",
    "OURS": "OWN_PARTS",
    "OUR_CHAINS": "OWN_CHAINS",
    "PICKLED": "PICKLE_SUFFIXES",
    "Read": "InputPicture",
    "Replay": "ReplayNoise",
    "SQUARE": "SQUARE_TOLERANCE",
    "SUFFIXES": "IMAGE_SUFFIXES",
    "Shape": "CompactConfig",
    "Silence": "ZeroNoise",
    "Toolbox": "PartTools",
    "Uses": "RefersTo",
    "WINDOW": "WINDOW_BATCHES",
    "WRAPPERS": "WRAPPER_KEYS",
    "WholeNoise": "SharedNoise",
    "area_resized": "area_resize_image",
    "arithmetic": "precision",
    "bilinear": "resize_plane",
    "deviation": "relative_deviation",
    "endings": "suffixes_of",
    "fill": "synthetic_arrays",
    "find_chain": "find_chain_file",
    "inner_models": "nested_option_models",
    "leaves": "json_arrays",
    "loaded": "installed_parts",
    "locate": "network_file",
    "meant": "did_you_mean",
    "name_of": "parse_name",
    "nested": "part_fields",
    "over": "array_to_device_of",
    "place": "write_atomic",
    "plain": "to_plain",
    "read_shape": "read_config",
    "sent": "array_to_tensor_like",
    "set_switches": "set_tf32_switches",
    "stays_inside": "check_inside",
    "stream": "noise_generator",
    "switched": "has_tf32_switches",
}
"""Old name of a function, class or constant: its current name."""


class MovedModules:
    """Import finder and loader for the old paths: empty modules that forward every name to its current module."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The specification of an old path; None for every other name."""
        old = name.removeprefix("odekit.")
        is_moved = name.startswith("odekit.") and old in MOVED
        return ModuleSpec(name, self, is_package=old == "upsamplers") if is_moved else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """None: Python creates an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Warn, and give the module a `__getattr__` that returns the current objects."""
        replacement, modules = MOVED[module.__name__.removeprefix("odekit.")]

        def forward(name: str) -> object:
            targets = [importlib.import_module(f"odekit.{module}") for module in modules.split()]
            if name == "__all__":
                return sorted({public for target in targets for public in vars(target) if not public.startswith("_")})
            for target in targets:
                for current in (name, RENAMED.get(name, name)):
                    if not name.startswith("__") and current in vars(target):
                        return vars(target)[current]
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}; import from {replacement!r}")

        module.__getattr__ = forward  # type: ignore[method-assign]
        if modules:
            message = f"'{module.__name__}' has moved: write 'from {replacement} import ...'"
            message += " (the old path will be removed in the next minor version)"
            warnings.warn(message, FutureWarning, stacklevel=2)


def install() -> None:
    """Make the old paths importable. Existing modules take precedence."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
