"""Documents to store: load, deduplicate, chunk, embed, upsert, keep in step."""
