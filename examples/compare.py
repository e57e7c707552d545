# %% [markdown]
# # Compare methods
#
# Two faces with known originals, damaged by noise, restored by three chains, measured. Two faces show how it is done, and no
# more: `odekit experiment table1` does it with intervals.

# %%
from pathlib import Path

import numpy as np

import odekit

HERE = Path(__file__).parent if "__file__" in globals() else Path("examples")
clean = [odekit.read(path) for path in sorted((HERE / "clean").glob("*.png"))[:2]]
noise = np.random.Generator(np.random.Philox(1)).normal(0, 0.15, (len(clean), 64, 64, 3))
damaged = [np.clip(face.to_numpy(np.float64) + one, 0, 1) for face, one in zip(clean, noise, strict=True)]

# %%
chains = {
    "bicubic": odekit.Chain([odekit.Upsample("resize", scale=1)]),
    "odedit-fast": odekit.Chain.load("odedit-fast"),
    "odedit-auto": odekit.Chain.load("odedit-auto"),
}
results = {name: chain.run(damaged, seed=1) for name, chain in chains.items()}
results["odedit-auto"]

# %% [markdown]
# Damaged, restored by each chain, and original:

# %%
rows = []
for number, face in enumerate(clean):
    row = [damaged[number], *(results[name][number].to_numpy(np.float64) for name in chains), face.to_numpy(np.float64)]
    rows.append(np.hstack(row))
odekit.as_image(np.vstack(rows))

# %%
Psnr = odekit.catalog().get("metric", "psnr").load()
psnr = Psnr()
values = {
    name: [psnr.measure(result.image, face) for result, face in zip(results[name], clean, strict=True)]
    for name in chains
}
{name: f"PSNR {np.mean(found):.2f} dB" for name, found in values.items()}
