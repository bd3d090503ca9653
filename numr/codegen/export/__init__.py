"""Ahead-of-time export: programs recorded with sizes that are formulas, and printed for each target."""
