"""The CPU backend: kernel text to machine code, its disk form, and the native call of it."""
