"""Context to answer, at the lowest cost that is good enough."""
