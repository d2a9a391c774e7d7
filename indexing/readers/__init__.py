"""Readers: one file per format, each turning bytes into text whose headings are `# ...` lines."""
