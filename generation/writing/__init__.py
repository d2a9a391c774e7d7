"""What a model is asked, and what of its answer stands in the documents."""
