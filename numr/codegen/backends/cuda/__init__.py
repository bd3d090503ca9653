"""The CUDA backend: kernel text to PTX and machine code, and the device that runs it."""
