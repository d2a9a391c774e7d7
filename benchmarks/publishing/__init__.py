"""What the page of results shows of each benchmark: tables, plots, and the summary."""
