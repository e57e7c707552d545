"""HTML reports and contact sheets."""
