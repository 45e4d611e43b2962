"""A detector of the DETR family on frames of Doom, and the convolutional detector that it is compared with."""
