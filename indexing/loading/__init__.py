"""Loading: finds the files and pages to ingest, and brings what stands there."""
