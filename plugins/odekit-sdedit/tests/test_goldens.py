"""SDEdit against the stored run of the official program."""

import pytest
from goldens.cases import golden_params

from odekit.testing.goldens import Golden

from .parity import GOLDENS


@pytest.mark.parametrize(("case", "path"), golden_params(GOLDENS))
def test_golden_file(case, path):
    """Both rounds, both variances, and with half of the pixels kept."""
    errors = case.check(path)
    states = {name for name in Golden.read(path).arrays if name.endswith(("_repeat1", "_repeat2"))}
    assert len(states) == 10
    assert states == set(errors)
