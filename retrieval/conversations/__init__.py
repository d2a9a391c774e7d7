"""What was asked before in a conversation, and questions that stand alone by it."""
