"""Recommendation: candidate sources → ranker → re-ranking → explanation."""
