# %% [markdown]
# # Compose your own solver
#
# The explicit midpoint method as a class of a notebook, checked, used in `odedit`, and named.

# %%
from pathlib import Path

import numpy as np

import odekit
from odekit.plugins import Carry
from odekit.testing import check_solver

HERE = Path(__file__).parent if "__file__" in globals() else Path("examples")
face = odekit.read(HERE / "clean" / "pif_01092.png")
face


# %%
class Midpoint:
    """The explicit midpoint method: two network calls per step."""

    order, nfe_per_step, reversible = 2, 2.0, False

    def start(self, field, y, rho):
        return Carry(y, rho)

    def step(self, field, carry, rho):
        h = rho - carry.rho
        middle = carry.y + h / 2 * field(carry.y, carry.rho)
        return Carry(carry.y + h * field(middle, carry.rho + h / 2), rho)

    def turn(self, carry):
        return carry

    def displace(self, carry, delta):
        return Carry(carry.y + delta, carry.rho)


{name: round(value, 2) for name, value in check_solver(Midpoint).items()}

# %% [markdown]
# An object is a part as it is. Without an enhancer, inversion and decoding should give the face back. Both solvers get 16
# network calls; the difference from the original is shown four times enlarged.


# %%
def round_trip(solver, steps):
    restore = odekit.Restore(
        inverter=odekit.Ode(solver=solver, steps=steps, top=0.35), enhancer="none", aligned="trust"
    )
    return odekit.Chain([restore]).run(face, seed=1)


results = {"ddim": round_trip("ddim", 8), "midpoint": round_trip(Midpoint(), 4)}
errors = {name: np.abs(result.to_numpy(np.float64) - face.to_numpy(np.float64)) for name, result in results.items()}
{
    name: f"{result.record['calls']} calls, mean error {255 * errors[name].mean():.2f} of 255"
    for name, result in results.items()
}

# %%
odekit.as_image(np.clip(4 * np.hstack([errors["ddim"], errors["midpoint"]]), 0, 1))

# %% [markdown]
# A name makes it known to chains, to settings and to YAML in this session. docs/plugins.md goes on from here to a plugin.

# %%
odekit.register("solver", "midpoint", Midpoint, replace=True)
chain = odekit.Chain.load(
    "odedit", ["restore.inverter.solver=midpoint", "restore.inverter.steps=4", "restore.enhancer=none"]
)
f"{chain.plan().calls} network calls"
