"""One folder per backend; nothing here knows which of them is in use."""
