"""Keys: who may call the service, what each may do and see, and how often."""
