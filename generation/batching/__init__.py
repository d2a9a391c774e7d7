"""Questions that can wait: quoted at once where that is good enough, the rest asked as a batch."""
