from .chains.chain import Chain as Chain
from .core.image import Image as Image
from .core.options import Options as Options
from .core.result import Result as Result
from .edit import edit as edit
from .errors import OdekitError as OdekitError
from .images.io import read as read
from .images.io import write as write
from .parts.enhancers.langevin import Langevin as Langevin
from .parts.installed import catalog as catalog
from .parts.inverters.ode import Ode as Ode
from .parts.stages.options import Restore as Restore
from .parts.stages.options import Save as Save
from .parts.stages.options import Upsample as Upsample
from .parts.upsamplers.resize import Resize as Resize
from .plugins.hooks import hookimpl as hookimpl
from .runs.restore import restore as restore

__version__: str
