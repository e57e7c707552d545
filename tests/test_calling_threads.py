"""One prior, or one session, may be called from several threads: results are those of calls one after the other."""

import copy
import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

import odekit
from odekit.core.files import ASSETS
from odekit.parts.priors.network import DiffusersPrior


def in_threads(function, arguments):
    """Calls from one thread each; the first error is raised."""
    faults = []

    def run(argument):
        try:
            function(argument)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_prior_at_different_timesteps(precision):
    prior = DiffusersPrior.load(ASSETS / "face64", precision=precision)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alone = {t: prior.eps(x, t) for t in (10.0, 500.0, 900.0)}

    def work(t):
        for _ in range(6):
            assert torch.equal(prior.eps(x, t), alone[t])

    in_threads(work, alone)


def test_a_prior_can_be_copied(prior):
    x = torch.zeros(1, 3, 64, 64, dtype=torch.float64)
    assert torch.equal(copy.deepcopy(prior).eps(x, 5.0), prior.eps(x, 5.0))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_during_a_call_can_call(prior):
    with prior.calling:
        child = os.fork()
        if child == 0:
            with prior.calling:
                os._exit(7)  # at once: nothing of pytest may run here
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert os.waitstatus_to_exitcode(status) == 7
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child waits for a call of its parent")


@pytest.fixture(scope="module")
def prior():
    return DiffusersPrior.load(ASSETS / "face64")


def test_a_session_with_different_pictures(damaged_faces):
    session = odekit.Chain.load("odedit-fast").open(images=1)
    alone = [session.restore([image])[0].image.pixels for image in damaged_faces]

    def work(number):
        for _ in range(2):
            assert np.array_equal(session.restore([damaged_faces[number]])[0].image.pixels, alone[number])

    in_threads(work, range(len(alone)))


@pytest.fixture
def damaged_faces():
    folder = ASSETS.parents[1] / "examples" / "damaged"
    return [odekit.read(path) for path in sorted(folder.glob("*.png"))[:3]]
