"""Is the answer right? Estimates that decisions are made on."""
