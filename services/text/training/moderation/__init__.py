"""What moderation is fitted to and measured with."""
