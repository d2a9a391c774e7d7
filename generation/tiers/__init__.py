"""The tiers, cheapest first: each is a Generator."""
