"""What every service shares: the data plane, its lifecycle and its errors. Imports no model family."""
