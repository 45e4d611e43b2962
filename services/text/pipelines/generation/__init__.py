"""Text generation: language models that go on from a prompt, token by token, several readers in one batch."""
