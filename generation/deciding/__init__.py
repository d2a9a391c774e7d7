"""Who answers: the choice between the tiers, by what each is expected to cost."""
