"""One module per workload; each declares WORKLOAD."""
