"""The measures: pure functions of what was found and what is right, and the table of them all."""
