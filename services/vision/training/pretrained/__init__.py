"""Networks that others trained and published: fetched, brought into our form, compared with the original."""
