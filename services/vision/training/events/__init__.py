"""The recurrent network that tells what happened in each second of gameplay video."""
