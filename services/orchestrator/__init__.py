"""The orchestrator: composes the model services into features, and keeps the state."""
