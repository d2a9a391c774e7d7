"""What callers may send, and what the service sends: separate models."""
