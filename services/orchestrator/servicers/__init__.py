"""One servicer for each feature service."""
