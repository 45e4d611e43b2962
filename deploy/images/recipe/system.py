"""Copy what a Python service needs of a Debian: the interpreter, a handful of programs, their libraries, certificates.

`system.py FOLDER` runs in the builder. What is left out of the image is all else: package managers, pip, Perl, the
compiler's tools. Debian's own record of the packages that files were taken from goes along, so that scanners find
their versions, and so do their licences.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

# For people who look into a container and for init containers that copy models.
PROGRAMS = ("cat", "cp", "env", "id", "ls", "mkdir", "sh", "sleep")
# What the wheels are linked with besides: more of the C library, C++ and OpenMP. Some processors have no libmvec.
LIBRARIES = (
    "libdl.so.2", "libgcc_s.so.1", "libgomp.so.1", "libm.so.6", "libmvec.so.1", "libpthread.so.0", "libresolv.so.2",
    "librt.so.1", "libstdc++.so.6", "libutil.so.1",
)  # fmt: skip
FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/os-release", "/etc/debian_version", "/etc/nsswitch.conf")
USERS = "root:x:0:0:root:/:/bin/sh\nmarquee:x:65532:65532:marquee:/var/lib/marquee:/bin/sh\n"
GROUPS = "root:x:0:\nmarquee:x:65532:\n"
# Of the standard library: what develops, draws windows, is a test, or reads East Asia's older character sets.
UNWANTED = (
    "__pycache__", "config-*", "dist-packages", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "site-packages", "test", "tests", "tkinter", "turtle.py", "turtledemo", "_codecs_*.so", "_curses*.so", "_dbm*.so",
    "_gdbm*.so", "_test*.so", "_tkinter*.so", "_xxtest*.so", "nis*.so", "readline*.so", "xx*.so", "*.a",
)  # fmt: skip
PACKAGES = Path("/var/lib/dpkg")


def libraries_of(files: Iterable[Path]) -> Iterator[Path]:
    """Yield the system's libraries that these programs and libraries are linked with, directly or not."""
    for path in files:
        listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
        for word in listed.split():
            if word.startswith("/") and ".so" in word:
                yield Path(word)


def copy(path: Path, target: Path) -> Iterator[Path]:
    """Copy a file under its own path, and every link on the way to it as a link. Yields what was copied."""
    folder = path.parent.resolve()  # /lib is a link to /usr/lib
    place = target / folder.relative_to("/") / path.name
    source = folder / path.name
    if place.exists() or place.is_symlink():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        place.symlink_to(source.readlink())
        yield source
        yield from copy(source.parent / source.readlink(), target)
    else:
        shutil.copy2(source, place)
        yield source


def copy_python(target: Path) -> Iterator[Path]:
    """Copy the interpreter with its standard library, compiled. Yields what was copied."""
    yield from copy(Path(sys.executable).resolve(), target)
    for name in ("python3", "python"):
        link = target / Path(sys.executable).resolve().relative_to("/").with_name(name)
        link.symlink_to(Path(sys.executable).resolve().name)
    library = Path(sysconfig.get_path("stdlib")).resolve()
    place = target / library.relative_to("/")
    shutil.copytree(library, place, symlinks=False, ignore=shutil.ignore_patterns(*UNWANTED))
    (place / "site-packages").mkdir(exist_ok=True)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(place, quiet=2, stripdir=str(target), prependdir="/", invalidation_mode=mode)
    yield from (Path("/") / file.relative_to(target) for file in place.rglob("*") if file.suffix in {".py", ".so"})


def owners(files: Iterable[Path]) -> set[str]:
    """Return the Debian packages that these files belong to. An interpreter that is no package has none."""
    wanted = {str(path) for path in files}
    # Older packages list /lib/x, which is where the merged file system keeps /usr/lib/x.
    wanted |= {path.removeprefix("/usr") for path in wanted if path.startswith(("/usr/lib", "/usr/bin"))}
    return {
        listing.name.removesuffix(".list").partition(":")[0]
        for listing in (PACKAGES / "info").glob("*.list")
        if not wanted.isdisjoint(listing.read_text().splitlines())
    }


def record(packages: set[str], target: Path) -> None:
    """Write dpkg's paragraph of each package where scanners of small images look, and its licence."""
    folder = target / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    for paragraph in (PACKAGES / "status").read_text().split("\n\n"):
        name = paragraph.partition("\n")[0].removeprefix("Package: ")
        if name in packages:
            (folder / name).write_text(paragraph + "\n")
            licence = Path("/usr/share/doc") / name / "copyright"
            if licence.exists():
                place = target / licence.relative_to("/")
                place.parent.mkdir(parents=True)
                place.write_bytes(licence.read_bytes())


def main(target: Path) -> None:
    """Fill the folder."""
    for name in ("bin", "lib", "lib64", "sbin"):
        (target / "usr" / name).mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to(f"usr/{name}")
    for name in ("dev", "models", "opt", "proc", "root", "run", "sys", "var"):
        (target / name).mkdir()
    (target / "tmp").mkdir()
    (target / "tmp").chmod(0o1777)

    copied = list(copy_python(target))
    for program in PROGRAMS:
        copied += copy(Path(shutil.which(program) or f"/bin/{program}"), target)
    folder = next(path.parent for path in libraries_of([Path(sys.executable)]) if path.name == "libc.so.6")
    for name in LIBRARIES:
        copied += copy(folder / name, target) if (folder / name).exists() else ()
    linked = [path for path in copied if path.suffix != ".py" and not path.is_symlink()]
    for library in set(libraries_of(linked)):
        copied += copy(library, target)
    for file in map(Path, FILES):
        if file.exists():
            place = target / file.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    listing = target / "etc/ld.so.conf"
    listing.write_text(f"/usr/local/lib\n{folder}\n")
    subprocess.run(["ldconfig", "-f", str(listing), "-C", str(target / "etc/ld.so.cache")], check=True)
    (target / "etc/passwd").write_text(USERS)
    (target / "etc/group").write_text(GROUPS)
    record(owners(copied), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
