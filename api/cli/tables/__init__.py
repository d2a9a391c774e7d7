"""What the commands print for people, on standard output."""
