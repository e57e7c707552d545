"""odekit: blind face restoration by editing in the noise space of a face diffusion model.

```python
import odekit

face = odekit.restore("face.png")                      # one line with the default chain
chain = odekit.Chain([odekit.Restore(inverter=odekit.Ode(steps=50)), odekit.Upsample("resize")])
results = chain.run([odekit.read("face.png")], seed=1)
```

The public names are listed in `__init__.pyi`. They are imported when first used, so `import odekit` loads no torch.
"""

import lazy_loader

from odekit.core import aliases
from odekit.core.version import __version__ as __version__

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *__all__]


def __getattr__(name: str) -> object:
    try:
        return _load(name)
    except AttributeError:
        if name.startswith("_") or name in __all__:
            raise
    from importlib.util import find_spec

    from odekit.core.spelling import did_you_mean

    advice = f"; import odekit.{name}" if find_spec(f"odekit.{name}") else did_you_mean(name, __all__)
    raise AttributeError(f"odekit has no attribute '{name}'{advice}", name=name)


aliases.install()
