"""What the answers came to: over time, the ones worth a look, and how they change."""
