"""Chains for tests of files, streams and encoders."""

from __future__ import annotations

import textwrap

import pytest

HEAD = """\
odekit: 1
name: quick
chain:
  - faces:
      detect: builtin
      each:
"""
QUICK = "- upsample: {use: face-guided, act: always}\n"


@pytest.fixture
def faces_chain(tmp_path):
    """Writes a chain for the faces of photographs with these stages for each face; returns its path."""

    def write(each):
        path = tmp_path / "quick.yaml"
        path.write_text(HEAD + textwrap.indent(each, 8 * " "))
        return str(path)

    return write


@pytest.fixture
def quick(faces_chain):
    """The path of a chain that changes every face, in one network call."""
    return faces_chain(QUICK)
