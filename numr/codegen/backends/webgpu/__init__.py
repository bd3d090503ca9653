"""WebGPU: kernels as WGSL, run through wgpu."""
