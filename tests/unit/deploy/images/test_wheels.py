"""Which entries of a lock are fetched for an image, whatever machine fetches them."""

from __future__ import annotations

from deploy.images.wheels import requirements

LOCK = """# Environment
av==18.1.0 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via marquee
av==19.0.2 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:dd
numpy==2.4.6 \\
    --hash=sha256:ee
"""


def test_conditions_are_judged_for_the_image() -> None:
    assert list(requirements(LOCK, "x86_64")) == [
        "av==18.1.0 --hash=sha256:aa --hash=sha256:bb",
        "numpy==2.4.6 --hash=sha256:ee",
    ]
