"""How much is let in at once, and how slow, long and large it may be."""
