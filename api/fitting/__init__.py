"""Fits the service to a user's own data: evaluation, calibration, frontier, tuning."""
