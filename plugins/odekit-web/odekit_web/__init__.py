"""A page in the browser for odekit. `odekit web` starts it; see README.md."""
