"""The HTTP service: what stands around the routes."""
