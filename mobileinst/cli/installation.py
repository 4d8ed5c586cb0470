"""What this installation came from and what it lacks: the wheel, extras, programs, the recorded checksums."""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.util
import os
import shlex
import shutil
import sys
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .hardware import ROOT, read

#: Python packages: (extra, distribution, module to import, what it is for, Termux's package of it).
EXTRAS = (
    ("video", "av", "av", "videos and cameras", ""),
    ("image", "pillow", "PIL", "images and folders of them", "python-pillow"),
    ("demo", "scikit-image", "skimage", "photographs of the demo", ""),
    ("eval", "pycocotools", "pycocotools", "evaluation on COCO", ""),
    ("supervision", "supervision", "supervision", "Instances.to_supervision()", ""),
    ("ray", "ray", "ray", "batches on many machines", ""),
    ("train", "torch", "torch", "training and conversion", "python-torch"),
    ("export", "onnx", "onnx", "export to ONNX", ""),
)
#: Importing these takes seconds; that they are there is enough.
_HEAVY = ("ray", "torch")

#: How programs are installed, by the ID or ID_LIKE of /etc/os-release.
_INSTALLERS = {
    "debian": "sudo apt-get install",
    "ubuntu": "sudo apt-get install",
    "raspbian": "sudo apt-get install",
    "alpine": "sudo apk add",
    "fedora": "sudo dnf install",
    "arch": "sudo pacman -S",
    "suse": "sudo zypper install",
}


@dataclass(frozen=True)
class System:
    """Where we run: how programs are installed, and whether it is Termux (Python packages come so, too)."""

    installer: str
    termux: bool = False

    def install(self, package: str) -> str:
        """The command that installs a package of the system."""
        return f"{self.installer} {package}" if self.installer else f"please install {package}"


def this_system(root: Path = ROOT) -> System:
    """The system by its environment and /etc/os-release."""
    if "com.termux" in os.environ.get("PREFIX", "") or os.environ.get("TERMUX_VERSION"):
        return System("pkg install", termux=True)
    if sys.platform == "darwin":
        return System("brew install")
    if sys.platform == "win32":
        return System("winget install")
    lines = (line.partition("=") for line in read(root / "etc/os-release").split("\n"))
    facts = {key.strip(): value.strip().strip("\"'") for key, _, value in lines}
    for name in (facts.get("ID", ""), *facts.get("ID_LIKE", "").split()):
        if name in _INSTALLERS:
            return System(_INSTALLERS[name])
    return System("")


def wheel_tag() -> str:
    """What was installed: the tag of the wheel, or that there was none."""
    try:
        text = metadata.distribution("mobileinst").read_text("WHEEL") or ""
    except metadata.PackageNotFoundError:
        return "none (a checkout)"
    tags = [line.partition(":")[2].strip() for line in text.split("\n") if line.startswith("Tag:")]
    return ", ".join(tags) or "none (not said)"


def extra(name: str, package: str, module: str, purpose: str, termux: str, system: System) -> str:
    """A line about an extra: its version, or the command that brings it."""
    command = f'{shlex.quote(sys.executable or "python3")} -m pip install "mobileinst[{name}]"'
    if system.termux and termux:
        command = system.install(termux)
    try:
        version = metadata.version(package)
        if module in _HEAVY:
            if importlib.util.find_spec(module) is None:
                raise ImportError(f"no module named {module}")
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what a package would like to have beside it
                importlib.import_module(module)
    except metadata.PackageNotFoundError:
        return f"{package}: not installed ({purpose}); {command}"
    except Exception as error:  # whatever a broken installation raises is the finding
        return f"{package} {version}: can't be imported ({purpose}): {type(error).__name__}: {error}"
    return f"{package} {version} ({purpose})"


def program(name: str, package: str, purpose: str, system: System) -> str:
    """A line about a program: where it is, or the command that brings it."""
    found = shutil.which(name)
    if found:
        return f"{name}: {found} ({purpose})"
    return f"{name}: not installed ({purpose}); {system.install(package)}"


def checksum(path: Path) -> tuple[str, str | None]:
    """SHA-256 of an installed file, and the one that the wheel's record has of it (None without a record)."""
    digest = hashlib.sha256(path.read_bytes())
    return digest.hexdigest(), _recorded(path)


def _recorded(path: Path) -> str | None:
    try:
        files = metadata.distribution("mobileinst").files or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        recorded = file.hash if file.name == path.name else None
        if recorded and recorded.mode == "sha256" and Path(str(file.locate())).resolve() == path.resolve():
            return base64.urlsafe_b64decode(recorded.value + "=" * (-len(recorded.value) % 4)).hex()
    return None
