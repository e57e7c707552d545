"""odekit: blind face restoration by editing in the noise space of a face diffusion model.

```python
import odekit

face = odekit.restore("face.png")                      # one line with the default chain
chain = odekit.Chain([odekit.Restore(inverter=odekit.Ode(steps=50)), odekit.Upsample("resize")])
results = chain.run([odekit.read("face.png")], seed=1)
```

Names are imported when first used, so `import odekit` is quick and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from odekit.version import __version__

if TYPE_CHECKING:
    from odekit.chain import Chain as Chain
    from odekit.chain import Result as Result
    from odekit.chain import restore as restore
    from odekit.edit import edit as edit
    from odekit.enhancers.langevin import Langevin as Langevin
    from odekit.errors import OdekitError as OdekitError
    from odekit.hookspecs import hookimpl as hookimpl
    from odekit.image import Image as Image
    from odekit.inverters.ode import Ode as Ode
    from odekit.io import read as read
    from odekit.io import write as write
    from odekit.options import Options as Options
    from odekit.registry import catalog as catalog
    from odekit.stages import Restore as Restore
    from odekit.stages import Save as Save
    from odekit.stages import Upsample as Upsample
    from odekit.upsamplers.resize import Resize as Resize

_WHERE = {
    "Chain": "chain",
    "Result": "chain",
    "restore": "chain",
    "edit": "edit",
    "Langevin": "enhancers.langevin",
    "OdekitError": "errors",
    "hookimpl": "hookspecs",
    "Image": "image",
    "Ode": "inverters.ode",
    "read": "io",
    "write": "io",
    "Options": "options",
    "catalog": "registry",
    "Restore": "stages",
    "Save": "stages",
    "Upsample": "stages",
    "Resize": "upsamplers.resize",
}

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'odekit' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"odekit.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
