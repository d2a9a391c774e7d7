"""The one SQL engine that all packages keep their state in, and how its tables change."""
