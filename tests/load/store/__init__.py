"""Both homes of the store side by side: `make bench-store`."""
