"""Ingestion jobs: work in the background that outlives the service."""
