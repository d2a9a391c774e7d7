"""What may leave this machine for the premium tier, and what is masked before it does."""
