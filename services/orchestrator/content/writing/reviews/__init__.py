"""What reviews have in common, taken from their own words."""
