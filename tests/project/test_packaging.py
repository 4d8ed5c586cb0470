"""What is installed, what is committed, and what importing the package brings in."""

from __future__ import annotations

import hashlib
import http.client
import importlib
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

import mobileinst
from tests.support import ROOT

PACKAGE = Path(mobileinst.__file__).parent

#: Extras and tools: the runtime must start without them.
OPTIONAL = ("av", "hypothesis", "matplotlib", "onnx", "PIL", "pycocotools", "safetensors", "scipy", "skimage")
MEDIA = {
    ".avi",
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".m4v",
    ".mkv",
    ".mov",
    ".mp4",
    ".tif",
    ".tiff",
    ".webm",
    ".webp",
}
PLOT = {".png", ".svg"}


@pytest.fixture(scope="module")
def installed() -> list[str]:
    """Paths of the installed distribution; an editable installation or a bare checkout has none to check."""
    try:
        distribution = importlib.metadata.distribution("mobileinst")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("mobileinst is not installed")
    files = [str(file) for file in distribution.files or ()]
    if "mobileinst/__init__.py" not in files:
        pytest.skip("mobileinst is installed in editable mode")
    return files


@pytest.mark.parametrize(
    "path",
    [
        "mobileinst/py.typed",
        "mobileinst/_native.pyi",
        "mobileinst/network/model.py",
        "mobileinst/engine/layer_times/avx512.txt",
        "weights_tools/torch_ops.py",
    ],
)
def test_wheel_has(installed: list[str], path: str) -> None:
    assert path in installed


def test_wheel_has_extension_weights_and_licences(installed: list[str]) -> None:
    paths = [PurePosixPath(file) for file in installed]
    assert [p for p in paths if p.match("mobileinst/_native*.so")]
    assert [p for p in paths if p.match("mobileinst/assets/*.safetensors")]
    assert {"LICENSE", "THIRD_PARTY_NOTICES"} <= {p.name for p in paths}


def test_wheel_has_nothing_else(installed: list[str]) -> None:
    tops = {PurePosixPath(file).parts[0] for file in installed if not file.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mobileinst", "weights_tools"}
    assert not [file for file in installed if file.endswith((".cpp", ".h", ".a", ".o"))]


def test_version_and_command(installed: list[str]) -> None:
    assert importlib.metadata.version("mobileinst") == mobileinst.__version__
    scripts = importlib.metadata.entry_points(group="console_scripts", name="mobileinst")
    assert [script.value for script in scripts] == ["mobileinst.cli:main"]


def loaded_by(statement: str) -> set[str]:
    """Top-level modules of a process that has run it."""
    script = (
        f"import json, sys; sys.path[:] = {sys.path!r}; {statement}; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return set(json.loads(run.stdout))


def test_runtime_brings_in_numpy_only() -> None:
    loaded = loaded_by("from mobileinst import Segmenter")
    assert {"mobileinst", "numpy"} <= loaded
    assert not loaded & {*OPTIONAL, "torch", "weights_tools"}
    # These cost more time than most modules of the package, and no frame needs them.
    slow = {"shutil", "secrets", "hashlib", "random", "lzma", "asyncio", "urllib.request", "subprocess"}
    assert not (loaded - loaded_by("import numpy, pathlib")) & slow


@pytest.fixture(scope="module")
def committed() -> list[Path]:
    run = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_large_file_is_committed(committed: list[Path]) -> None:
    assert [path for path in committed if path.stat().st_size > 25_000_000] == []


def test_no_picture_or_video_is_committed(committed: list[Path]) -> None:
    def is_plot(path: Path) -> bool:
        return path.suffix in PLOT and path.relative_to(ROOT).parts[0] in ("benchmarks", "docs")

    pictures = [path for path in committed if path.suffix.lower() in MEDIA | PLOT]
    assert [path for path in pictures if not is_plot(path)] == []


def test_sources_come_from_the_next_mirror_when_one_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    vendor = importlib.import_module("vendor_xnnpack")
    asked: list[str] = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        if "broken" in url:
            raise http.client.IncompleteRead(b"")
        if "reset" in url:
            raise ConnectionResetError
        return io.BytesIO(b"data")

    monkeypatch.setattr(vendor.urllib.request, "urlopen", urlopen)
    bases = ["http://broken", "http://reset", "http://good"]
    assert vendor.download("x.tar", hashlib.sha256(b"data").hexdigest(), bases) == b"data"
    assert asked == [f"{base}/pool/main/x.tar" for base in bases]
    with pytest.raises(OSError, match="none of 3 package mirrors has"):
        vendor.download("x.tar", hashlib.sha256(b"other").hexdigest(), bases)


def test_what_small_machines_install_leaves_their_numpy_alone() -> None:
    """scikit-image and SciPy would replace the NumPy that Raspberry Pi OS's own picamera2 was built for."""
    tomllib = pytest.importorskip("tomllib")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    def packages(extra: str) -> set[str]:
        found: set[str] = set()
        for requirement in extras[extra]:
            name, _, inner = requirement.partition("[")
            if name == "mobileinst":
                found |= set().union(*(packages(one) for one in inner.rstrip("]").split(",")))
            else:
                found.add(name.split(">")[0].split(";")[0].strip())
        return found

    assert packages("all") == {"av", "pillow", "pycocotools"}
    assert "scikit-image" in packages("demo")


def test_a_checkout_takes_the_extension_from_the_installed_package(tmp_path: Path) -> None:
    package = Path(mobileinst.__path__[0])
    without = shutil.ignore_patterns("*.so", "__pycache__", "*.pyd")
    shutil.copytree(package, tmp_path / "mobileinst", ignore=without)
    installed = next(Path(folder) for folder in mobileinst.__path__ if any(Path(folder).glob("_native.*.so")))
    code = "import mobileinst; from mobileinst import Segmenter; print(mobileinst.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == tmp_path / "mobileinst"
