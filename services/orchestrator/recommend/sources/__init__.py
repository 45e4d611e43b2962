"""Candidate sources, one a file. Each proposes items for a user; the ranker decides between them."""
