"""Answers that were given before and are good enough to give again."""
