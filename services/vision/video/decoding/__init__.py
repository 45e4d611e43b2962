"""The decoder: a process of its own for each stream. Only `demuxing` and `filters` import `av`."""
