"""The public names for plugin authors, the discovery of plugins, and their weights.

```python
from odekit.plugins import Image, Options, PluginCatalog, Tools, UpsamplerSpec, hookimpl
```

The names, and the modules that define them, are listed in `__init__.pyi`. They are imported on first use. This
package imports no part, and modules of odekit import these names from the defining modules.
"""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from typing import Any


@functools.cache
def stub_names() -> dict[str, tuple[str, str]]:
    """{public name: (module, name in that module)}, as listed in the stub."""
    tree = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name == "__all__":
        return sorted(stub_names())
    if name.startswith("__") or name not in stub_names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = stub_names()[name]
    globals()[name] = value = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted(globals() | stub_names())
