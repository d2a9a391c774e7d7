"""What is deleted of people, by wish and by time."""
