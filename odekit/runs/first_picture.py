"""The first photograph of a short run is read, then searched for faces while torch is imported.

The search takes more than a second of a large photograph, as torch's import does, and needs no torch.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait

from odekit.chains.chain import Chain
from odekit.chains.resolve import iter_stages
from odekit.chains.tools import PartTools
from odekit.core.memory import return_free_memory
from odekit.core.processors import usable_processors
from odekit.core.torch_libraries import load_torch_libraries
from odekit.errors import OdekitError
from odekit.parts.faces.ahead import announce_search, run_search
from odekit.parts.faces.options import Faces, YunetDetector
from odekit.parts.faces.yunet import YuNet
from odekit.runs.files import InputPicture, read_input
from odekit.runs.pipeline import MAX_PIXELS
from odekit.runs.probe import probe
from odekit.runs.summary import RunOptions

THREAD = "first picture"
"""Name of the thread."""
LONGEST_END = 3.0
"""Seconds that the end of the program waits for the thread, which looks up after each tile."""
TURN = 0.0005
"""Seconds of a thread's turn while the photograph is read: how long others wait for Python's lock."""
HEAD_START = 0.6
"""Longest time in seconds for which the photograph is read before torch's import begins. 12 megapixels take .3 s alone,
and .9 s beside the import, which loads libraries for tenths of a second without letting go of Python's lock: the search
would begin so much later."""


def read_first(chain: Chain, options: RunOptions, file: str) -> Future[InputPicture] | None:
    """Begin to read a photograph and to search its faces in a thread; None where nothing is gained.

    That is where torch is loaded already, where there is one processor only, for chains without a search by a built-in
    detector, and for photographs of more than `MAX_PIXELS`, which should not be in memory while networks are loaded.
    """
    detector = first_detector(chain)
    if detector is None or "torch" in sys.modules or usable_processors() < 2:
        return None
    probed = probe(file)
    if probed.isolate or not 0 < probed.pixels <= MAX_PIXELS:
        return None
    try:
        network = YuNet(PartTools(chain.parts, "cpu", "float32"))
    except OdekitError:  # opening the chain says what is missing
        return None
    picture: Future[InputPicture] = Future()

    picture.set_running_or_notify_cancel()  # whoever gives the picture up does not end its reading

    def work() -> None:
        try:
            with short_turns():
                read = read_input(file, options.max_megapixels, options.salvage)
                ahead = announce_search(read[0].pixels, detector, network)
                picture.set_result(read)
                run_search(ahead)
            network.release()
            return_free_memory()  # the buffers of the search, before networks are loaded beside them
        except BaseException as error:
            if not picture.done():
                picture.set_exception(error)

    # A daemon: a disk that does not answer must not keep the program from ending. But a thread that is in OpenCV when
    # Python ends would abort the process.
    thread = threading.Thread(target=work, name=THREAD, daemon=True)

    def end() -> None:
        network.stopped = True
        thread.join(LONGEST_END)

    atexit.register(end)
    thread.start()
    load_torch_libraries()
    wait([picture], HEAD_START)
    return picture


@contextlib.contextmanager
def short_turns() -> Iterator[None]:
    """Have the threads of this process take turns every half millisecond.

    A decoder gives Python's lock back for each block of a file, and gets it again when the other thread's turn ends:
    with turns of 5 ms a photograph of 170 blocks took a second more.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def first_detector(chain: Chain) -> YunetDetector | None:
    """The options of the built-in detector that searches the photograph first; None if there is no such one."""
    faces = (item.options for item, _ in iter_stages(chain.spec.items) if isinstance(item.options, Faces))
    first = next((options for options in faces if options.align != "none" and options.select.boxes is None), None)
    return first.detect.options if first is not None and isinstance(first.detect.options, YunetDetector) else None
