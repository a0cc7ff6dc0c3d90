"""Where a fit starts: functions of (Xt, components, rng) that return Factors of the level of X."""
