"""Small Vision Transformers for pictures of one kind: clothes of Fashion-MNIST, screenshots of Atari games."""
