"""The versions of the tables, one after the other. None imports the tables as they are now."""
