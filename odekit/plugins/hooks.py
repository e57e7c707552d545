"""The two extension points. A plugin implements them and names its module in the entry-point group "odekit".

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
    """Register parts: `catalog.solver(...)`, `catalog.upsampler(...)`, `catalog.weights(...)` and the like.

    Called once, when the first chain is read. Import nothing heavy here: name factories as "module:attribute".
    """


@hookspec
def odekit_stage_done(stage: str, before: Any, after: Any, context: Any) -> None:
    """A stage finished a batch: `before` and `after` are lists of `Image`, `stage` is its name. Change nothing."""
