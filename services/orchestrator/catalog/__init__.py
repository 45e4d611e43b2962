"""The catalogue beyond its rows: vectors from the model services, and the view that recommendation reads."""
