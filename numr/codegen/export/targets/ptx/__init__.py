"""Target "ptx": the kernels for NVIDIA's devices, and a host in C that runs them through CUDA's driver."""
