"""How likely is an answer right? What tells it, and how that is calibrated and watched."""
