"""Prices and what things cost."""
