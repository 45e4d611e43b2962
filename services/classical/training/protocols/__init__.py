"""Ways of measuring the recommenders offline, each with what it can and cannot say."""
