"""The golden cases of the core."""

from goldens import golden_flow as runs
from goldens import golden_nets as networks
from goldens import golden_solvers as solvers
from goldens.cases import Case

GOLDENS = (
    Case("adm_small", networks.adm, long=("*.B.npz",)),
    Case("adm_small_newattn", networks.adm_newattn, long=("*",)),
    Case("ddim_small", networks.ddim, long=("*.A.npz",)),
    Case("ddim_diffusers_small", runs.library),
    # Spacings that leave the timesteps of the schedule between levels are not odekit's.
    Case("ddim_diffusers_timesteps", runs.timesteps, tolerance=0.0, skip=("*.30", "*.trailing.*", "*.linspace.*")),
    Case(
        "code_small",
        runs.code,
        tolerance={"*_i49": 5e-4, "langevin_*": 1e-5, "*": 1e-4},
        skip=("*BAD*", "langevin_start_*", "eta"),  # faults of the program; start states of its runs
        long=("*",),
    ),
    Case(
        "solvers_diffusers",
        solvers.runs,
        tolerance={"*_f64": 1e-9, "own_*": 1e-9, "exact_*": 1e-9, "deis3_*": 3e-4, "*": 2e-5},
        # The density and the start are inputs; the JSON file also describes the runs; order 3 of DPM++ is no solver here.
        skip=("mu", "S", "x_T", "dpmpp_3m_*", "configs/*", "runs/*/[!o]*"),
    ),
)
