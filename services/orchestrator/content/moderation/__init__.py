"""Moderation of chat: take disguises off, ask the models, decide by the tenant's policy."""
