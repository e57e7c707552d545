"""From YAML or Python to a checked chain, its plan, and a session that is ready to run."""
