"""The checks that a language model's text must pass, one kind of finding a module."""
