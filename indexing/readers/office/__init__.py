"""Readers of office files: documents, slides and spreadsheets."""
