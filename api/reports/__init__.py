"""What is told of money and quality: sums, plots, tables for spreadsheets."""
