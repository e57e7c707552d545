"""The two hooks. A plugin implements them and lists its module in the entry-point group "odekit".

```toml
[project.entry-points.odekit]
my-plugin = "my_plugin"
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from odekit.plugins.catalog import PluginCatalog

hookspec = pluggy.HookspecMarker("odekit")
hookimpl = pluggy.HookimplMarker("odekit")


@hookspec
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register parts: `catalog.solver(...)`, `catalog.upsampler(...)`, `catalog.weights(...)` and so on.

    Called once, when the first chain is read. Import no large library here: give factories as "module:attribute".
    """


@hookspec
def odekit_stage_done(stage: str, before: Any, after: Any, context: Any) -> None:
    """Called when the stage named `stage` has finished a batch. Do not change the images in `before` and `after`."""
