"""Readers of rows: CSV and JSON, and how any table becomes text."""
