"""Ingestion: brings store and manifest in step with what is loaded."""
