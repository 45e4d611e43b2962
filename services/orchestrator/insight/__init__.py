"""What can be said about a user's behaviour."""
