"""Video: how it arrives, how it is decoded elsewhere, and what is found in it second by second."""
