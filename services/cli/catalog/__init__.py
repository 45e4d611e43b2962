"""`marquee catalog`: fill, read and change the catalogue, and the file formats for that."""
