"""encoder4editing and StyleGAN2 against stored outputs of the official network classes."""

import pytest
from goldens.cases import golden_params

from .parity import GOLDENS


@pytest.mark.parametrize(("case", "path"), golden_params(GOLDENS))
def test_golden_file(case, path):
    case.check(path)
