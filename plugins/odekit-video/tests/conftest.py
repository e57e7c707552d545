"""A chain for tests of files, streams and encoders."""

from __future__ import annotations

import pytest

CHAIN = """\
odekit: 1
name: quick
chain:
  - faces:
      detect: builtin
      each:
        - upsample: {use: face-guided, act: always}
"""


@pytest.fixture
def quick(tmp_path):
    """The path of a chain that changes every face, in one network call."""
    path = tmp_path / "quick.yaml"
    path.write_text(CHAIN)
    return str(path)
