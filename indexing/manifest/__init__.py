"""What is indexed, in SQL: documents, their sources, and the files that they came from."""
