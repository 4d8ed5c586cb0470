"""Fetch the parts of XNNPACK that the build uses, from Debian's source archive.

    python tools/vendor_xnnpack.py [FOLDER]

FOLDER (default: third_party/ of this project) receives the files that cmake/xnnpack/*.txt list, out of the
archives that cmake/xnnpack/pins.txt pins by name and SHA-256. They come from the Debian mirror that this
system is configured with. The build calls this where third_party/ is missing; a source distribution carries
the folder. Needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "cmake" / "xnnpack"
LICENSES = ("LICENSE", "deps/clog/LICENSE")


def mirrors() -> list[str]:
    """Base addresses of the package sources that apt is configured with; empty where there is no apt."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return list(dict.fromkeys(line.rstrip("/") for line in listing.splitlines()))


def download(path: str, sha256: str, bases: list[str]) -> bytes:
    """The pinned archive from the first mirror that has it; OSError if none does."""
    for base in bases:
        try:
            with urllib.request.urlopen(f"{base}/pool/main/{path}", timeout=60) as response:
                data: bytes = response.read()
        except (OSError, http.client.HTTPException):  # URLError is an OSError
            continue
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    raise OSError(f"none of {len(bases)} package mirrors has {path} with SHA-256 {sha256}")


def extract(name: str, archive: bytes, wanted: set[str], folder: Path) -> None:
    """Write the wanted files, named from the project's own folder on; ValueError if one is not there."""
    missing = {path for path in wanted if path.startswith(f"{name}/")}
    licenses = {f"{name}/{path}" for path in LICENSES}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            parts = Path(member.name).parts
            # Some archives have a folder of their own around the project's.
            top = 1 if parts and parts[0].startswith(f"{name}-") else 0
            path = "/".join((name, *parts[top:]))
            content = tar.extractfile(member) if member.isfile() and path in missing | licenses else None
            if content is not None:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
                missing.discard(path)
    if missing:
        raise ValueError(f"the archive of {name} has no {', '.join(sorted(missing)[:3])}")


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "third_party"
    lists = ("headers.txt", "common.txt", "x86_64.txt", "aarch64.txt")
    wanted = {line for name in lists for line in (LISTS / name).read_text().split()}
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        bases = mirrors()
        for pin in (LISTS / "pins.txt").read_text().splitlines():
            name, path, sha256 = pin.split()
            extract(name, download(path, sha256, bases), wanted, unfinished)
    except (OSError, ValueError, tarfile.TarError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        print(f"vendor_xnnpack: {error}", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
