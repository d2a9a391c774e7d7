"""Readers of what the web is written in: pages, feeds and books."""
