"""What is learned from the lists that were shown and what followed from them."""
