"""Leaves out the tests of plugins that have an environment of their own, unless they are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import APART


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make test-NAME` names `plugins/odekit-NAME/tests`; `pytest` alone runs in the common environment."""
    named = [Path(config.invocation_params.dir, str(word).partition("::")[0]).resolve() for word in config.args]
    apart = collection_path in APART and not any(collection_path in (path, *path.parents) for path in named)
    return True if apart else None
