"""Two questions word by word: how each is read, what is the same, and what changed its place."""
