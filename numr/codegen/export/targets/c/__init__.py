"""Target "c": one C11 source and its header."""
