"""Runs: a chain applied to many files, with records, resume, event logs and reports."""
