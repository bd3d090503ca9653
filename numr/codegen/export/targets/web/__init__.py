"""A page that runs exported functions."""
