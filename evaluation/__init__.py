"""Question sets -> measures of quality and cost: asking, measuring, comparing, reporting."""
