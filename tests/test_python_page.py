"""docs/python.md: its programs run, one after the other."""

import re

import PIL.Image
import pytest
from conftest import ROOT, picture

from odekit.parts.installed import catalog

PAGE = (ROOT / "docs" / "python.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def quick(text):
    """The same with few network calls."""
    return text.replace('odekit.restore("face.png")', 'odekit.restore("face.png", strength="none")').replace(
        "odekit.Ode(steps=10)", "odekit.Ode(steps=2, grid='uniform-t'), enhancer='none'"
    )


@pytest.mark.parametrize(
    "whole", [False, pytest.param(True, marks=pytest.mark.long)], ids=["without pipelines", "whole"]
)
def test_the_programs_of_the_page_run_in_order(tmp_path, monkeypatch, capsys, whole):
    """Importing pipelines of diffusers takes 10 s, so that the short form leaves out what does."""
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(picture(1, 64, 64)).save("face.png")
    PIL.Image.fromarray(picture(2, 64, 96)).save("family.jpg")
    before = {key: list(entries) for key, entries in catalog().entries.items()}
    names = {"__name__": "__main__"}
    try:
        for program in [text for text in PROGRAMS if whole or "import DDPMPipeline" not in text]:
            exec(compile(quick(program), "python.md", "exec"), names)
    finally:
        catalog().entries = before
    assert (tmp_path / "restored.png").is_file() and names["array"].shape == (128, 128, 3)
    assert names["negative"].to_numpy().tolist() == (255 - picture(1, 64, 64)).tolist()
    assert (
        "4 calls" in capsys.readouterr().out
        and names["result"].record == {"stages": names["result"].record["stages"]} | names["result"].record
    )
    assert names["results"][0].record["calls"] == 4
