"""What an event is worth to the recommenders."""
