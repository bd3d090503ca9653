"""The targets of export, a folder each."""
