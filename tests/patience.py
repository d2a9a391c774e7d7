"""How long a test waits for what has to come."""

FAR_S = 300.0
"""Seconds. A working machine needs few of them, but a shared one may stand still for a minute."""
