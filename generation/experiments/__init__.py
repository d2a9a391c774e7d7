"""Configurations side by side in production: who gets which, and which of them is proven worse."""
