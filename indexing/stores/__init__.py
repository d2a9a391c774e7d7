"""Where chunks are kept and found: one adapter a file."""
