"""WGSL modules, and what runs them in JavaScript and in Python."""
