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

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *__all__]

aliases.install()
