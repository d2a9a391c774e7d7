"""The settings, group by group: what each means, its range and its default."""
