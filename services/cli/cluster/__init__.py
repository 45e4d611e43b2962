"""`marquee cluster`: work on a mesh in Kubernetes, through its API and with the user's own rights."""
