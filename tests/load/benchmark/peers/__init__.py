"""Programs that run in the environments of the servers we compare with; they import nothing of Marquee."""
