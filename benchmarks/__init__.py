"""The side-by-side benchmark of numr and its peers: `python benchmarks/run.py --help`."""
