"""What dearer tiers taught: lessons are kept, and chosen as training data for the local model."""
