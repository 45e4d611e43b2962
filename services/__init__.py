"""Marquee's services: one package a service, all with the same rooms."""

from __future__ import annotations

import os

# ONNX Runtime's wheels report their use to their maker, and keep an identifier of the machine in the home folder,
# unless this is set before the library is loaded. A mesh that runs on somebody's servers tells nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
