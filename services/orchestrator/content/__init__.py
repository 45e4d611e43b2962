"""What is said of content: analysis and moderation."""
