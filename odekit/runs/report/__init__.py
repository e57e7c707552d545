"""HTML pages and contact sheets of a run."""
