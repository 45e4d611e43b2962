"""Search over a tenant's catalogue: by words, by meaning, and by what a user likes."""
