"""The reader of PDF: its pages, and the tables on them."""
