"""`make bench`: what Marquee adds to ONNX Runtime, measured beside other model servers in one interleaved run."""
