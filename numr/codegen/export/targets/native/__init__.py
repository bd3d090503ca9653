"""The target "native": object code for a processor, as object file, static and shared library."""
