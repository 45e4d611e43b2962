"""Models of what people will do: return, engagement, value and next session, fitted on public logs."""
