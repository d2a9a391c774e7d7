"""From measured trials to the settings that are good enough and cost least."""
