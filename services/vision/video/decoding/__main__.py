"""Decode one video: bytes come by standard input, messages go to standard output, options are the only argument."""

from __future__ import annotations

import os
import sys

from services.vision.video.decoding.limits import limit_process
from services.vision.video.decoding.messages import Ended, Message, encode
from services.vision.video.decoding.options import DecodingOptions
from services.vision.video.decoding.reading import ByteSource, FileSource

_INPUT, _OUTPUT = 0, 1


def main(argument: str) -> None:
    """Decode until the input ends; a full output stands still here, and with it the input."""
    options = DecodingOptions.from_argument(argument)
    limit_process(options.maximum_memory_bytes, options.maximum_processor_seconds)
    try:
        from services.vision.video.decoding.demuxing import Decoding  # noqa: PLC0415  # within the limits
    except ImportError:
        _send(Ended(0.0, 0, "VIDEO_DECODER_MISSING", "FFmpeg cannot be loaded"))
        return
    source = FileSource(_INPUT) if options.is_seekable else ByteSource(_INPUT)
    for message in Decoding(source, options).messages():
        _send(message)


def _send(message: Message) -> None:
    content = memoryview(encode(message))
    while content:
        content = content[os.write(_OUTPUT, content) :]


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BrokenPipeError:
        # The service wants no more of it.
        sys.exit(1)
