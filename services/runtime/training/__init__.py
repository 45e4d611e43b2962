"""What the training rooms of all model families share; nothing that serves imports it."""
