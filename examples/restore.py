# %% [markdown]
# # Restore a face
#
# A damaged face, the default chain for aligned faces, and what it did. Run it as a script, or cell by cell in an editor that
# knows `# %%`.

# %%
from pathlib import Path

import odekit

HERE = Path(__file__).parent if "__file__" in globals() else Path("examples")
damaged = odekit.read(HERE / "damaged" / "pif_01096.png")
damaged

# %% [markdown]
# `odekit.restore` takes a path, an array, a tensor or a Pillow picture. It measures how much the face needs.

# %%
restored = odekit.restore(damaged, seed=1)
restored

# %% [markdown]
# A chain gives the same with its record: what each stage did, and the version of every part.

# %%
result = odekit.Chain.load("odedit-plus").run(damaged, seed=1)
result

# %%
{
    f"{number} {stage['stage']}": f"{stage.get('calls', 0)} network calls"
    for number, stage in enumerate(result.record["stages"])
}

# %%
", ".join(f"{name} of {part['dist']} {part['version']}" for name, part in result.record["depends"]["parts"].items())

# %% [markdown]
# A progress callback may stop the call: here it lets three network calls pass.


# %%
def tell(progress):
    if progress.calls == 3:
        raise odekit.Stopped


try:
    odekit.restore(damaged, tell=tell)
except odekit.Stopped:
    stopped = "stopped after three network calls"
stopped
