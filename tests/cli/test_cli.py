"""The command line as a user calls it: in a process of its own, with files in and files out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import mobileinst
from mobileinst.export.annotated import PictureSink
from mobileinst.video import open_source
from mobileinst.weights import available_weights
from tests.support.batch_data import write_pictures, write_video, write_weights

pytest.importorskip("av")
pytest.importorskip("PIL")

#: The package that the tests themselves run, wherever the command is started from.
PACKAGES = str(Path(mobileinst.__file__).parent.parent)
FRAMES = 9


def command(*arguments: Any) -> list[str]:
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); import runpy; sys.argv[0] = 'mobileinst'; "
    run = "runpy.run_module('mobileinst', run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", start + run, PACKAGES, *map(str, arguments)]


def call(*arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=120)


def succeed(*arguments: Any, cwd: Path) -> str:
    done = call(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def fail(*arguments: Any, cwd: Path) -> str:
    """The one line that says what was wrong; nothing is left behind."""
    before = sorted(cwd.rglob("*"))
    done = call(*arguments, cwd=cwd)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stderr.startswith("mobileinst: error: ")
    assert done.stderr.count("\n") == 1
    assert sorted(cwd.rglob("*")) == before
    return done.stderr


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.safetensors, clip.mp4 and the folder frames/ with the same pictures."""
    folder = tmp_path_factory.mktemp("material")
    write_weights(folder / "tiny.safetensors")
    write_video(folder / "clip.mp4", FRAMES)
    write_pictures(folder / "frames", FRAMES)
    return folder


def test_track_a_video_into_every_format(material: Path, tmp_path: Path) -> None:
    said = succeed(
        *("track", material / "clip.mp4", "--weights", material / "tiny.safetensors", "--threads", 1),
        *("--output", "o.mp4", "--json", "o.jsonl", "--picture", "o.png", "--mots", "o.txt"),
        *("--youtube-vis", "o.json", "--masks", "masks", "--boxes"),
        cwd=tmp_path,
    )
    assert said.startswith(f"{FRAMES} frames")
    names = {"o.mp4", "o.jsonl", "o.png", "o.txt", "o.json", "masks"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert len(list((tmp_path / "masks").iterdir())) == FRAMES
    video = open_source(tmp_path / "o.mp4")
    assert (video.rate, len(list(video))) == (25, FRAMES)
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [record["frame"] for record in records] == list(range(FRAMES))
    assert records[5]["time"] == pytest.approx(0.2)
    assert {(record["width"], record["height"]) for record in records} == {(66, 50)}
    for record in records:
        for instance in record["instances"]:
            assert instance["label"] in ("person", "animal")
            assert instance["rle"]["size"] == [50, 66]
    for entry in json.loads((tmp_path / "o.json").read_text()):
        assert len(entry["segmentations"]) == FRAMES


def test_track_without_outputs_names_its_own(material: Path, tmp_path: Path) -> None:
    said = succeed("track", material / "frames", "--weights", material / "tiny.safetensors", cwd=tmp_path)
    assert "frames-tracked.mp4" in said
    assert open_source(tmp_path / "frames-tracked.mp4").rate == 30


def test_track_options(material: Path, tmp_path: Path) -> None:
    said = succeed(
        *("track", material / "frames", "--weights", material / "tiny.safetensors", "--size", "64x96"),
        *("--json", "-", "--max-frames", 4, "--fps", 10, "--keyframe-every", 1, "--score-threshold", 1, "-q"),
        cwd=tmp_path,
    )
    records = [json.loads(line) for line in said.splitlines()]
    assert [record["time"] for record in records] == [0, 0.1, 0.2, 0.3]
    assert [record["instances"] for record in records] == [[]] * 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["yolo", "coco", "labelme"])
def test_segment_writes_annotations(kind: str, material: Path, tmp_path: Path) -> None:
    arguments = ("segment", material / "frames", "--weights", material / "tiny.safetensors")
    succeed(*arguments, "--label-out", kind, "--output-dir", "out", cwd=tmp_path)
    folder = tmp_path / "out" / kind
    assert len(list(folder.rglob("*.png"))) == FRAMES
    assert len(list(folder.rglob("*.json")) + list(folder.rglob("*.txt"))) == (
        1 if kind == "coco" else FRAMES
    )
    assert "never replaced" in fail(*arguments, "--label-out", kind, "--output-dir", "out", cwd=tmp_path)


def test_segment_images(material: Path, tmp_path: Path) -> None:
    done = call(
        *("segment", material / "frames", material / "frames" / "3.png"),
        *("--weights", material / "tiny.safetensors"),
        *("--output-dir", "out", "--json", "o.jsonl", "--coco", "coco.json", "--masks"),
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert done.stderr == (
        "mobileinst: WARNING: image ids are places in the list: not all names are different numbers\n"
    )
    assert len(done.stdout.splitlines()) == FRAMES + 1
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"0-segmented.png", "3-segmented.png", "3-2-segmented.png", "8-masks.png"} <= written
    assert len(written) == 2 * (FRAMES + 1)
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [record["file"] for record in records] == [*(f"{i}.png" for i in range(FRAMES)), "3.png"]
    entries = json.loads((tmp_path / "coco.json").read_text())
    assert len(entries) == sum(len(record["instances"]) for record in records)
    found = {place + 1 for place, record in enumerate(records) if record["instances"]}
    assert {entry["image_id"] for entry in entries} == found


def test_a_missing_extra_is_named_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    PictureSink(tmp_path / "x.png")
    with pytest.raises(ImportError, match=r"mobileinst\[image\]"):
        PictureSink(tmp_path / "x.jpg")


def test_overlays_replace_neither_images_nor_each_other(material: Path, tmp_path: Path) -> None:
    names = ["x.png", "x-segmented.png", "a/x.png", "a/x-3.png"]
    (tmp_path / "a").mkdir()
    for name in names:
        (tmp_path / name).write_bytes((material / "frames" / "1.png").read_bytes())
    said = succeed("segment", *names, "--weights", material / "tiny.safetensors", cwd=tmp_path)
    overlays = [line.rpartition(" -> ")[2] for line in said.splitlines()]
    assert len({*overlays, *names}) == 8
    assert len(list(tmp_path.rglob("*.png"))) == 8


def test_segment_goes_on_after_a_broken_image(material: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    done = call(
        *("segment", "broken.png", "absent.png", material / "frames" / "1.png"),
        *("--weights", material / "tiny.safetensors"),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert [line.split(":")[2].strip() for line in done.stderr.splitlines()] == [
        "broken.png",
        "absent.png does not exist",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"broken.png", "1-segmented.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["track", "none.mp4"], "none.mp4 does not exist"),
        (["track", "MATERIAL/tiny.safetensors"], "can't be opened as a video"),
        (["track", "MATERIAL/clip.mp4", "--weights", "huge"], "no weights named 'huge'"),
        (["track", "MATERIAL/clip.mp4", "--weights", "MATERIAL/clip.mp4"], "safetensors header"),
        (["track", "MATERIAL/clip.mp4", "--output", "o.avi"], "ends in .m4v"),
        (["track", "MATERIAL/clip.mp4", "--output", "no/o.mp4"], "can't write no/o.mp4"),
        (["track", "MATERIAL/clip.mp4", "--output", "MATERIAL/clip.mp4"], "is an input, it can't be"),
        (["track", "MATERIAL/clip.mp4", "--json", "a", "--mots", "a"], "outputs must differ"),
        (["track", "MATERIAL/clip.mp4", "--picture", "o.gif"], "ends in .jpeg"),
        (["track", "MATERIAL/clip.mp4", "--picture", "no/o.png"], "can't write no/o.png"),
        (["track", "MATERIAL/frames", "--picture", "MATERIAL/frames/1.png"], "1.png is an input, it"),
        (["track", "MATERIAL/frames", "--masks", "MATERIAL/frames"], "its masks can't go there"),
        (["track", "MATERIAL/clip.mp4", "--iou-weight", "inf"], "iou_weight must be finite"),
        (["track", "MATERIAL/clip.mp4", "--size", "20"], "size must be in 32..4096"),
        (["track", "MATERIAL/clip.mp4", "--size", "large"], "expected a size as 640 or 480x864"),
        (["track", "MATERIAL/clip.mp4", "--threads", "0"], "at least 1, got '0'"),
        (["track", "MATERIAL/clip.mp4", "--keyframe-every", "0"], "keyframe_every"),
        (["track", "MATERIAL/clip.mp4", "--score-threshold", "2"], "score_threshold must be in 0..1"),
        (["track", "MATERIAL/clip.mp4", "--fps", "-1"], "frames per second"),
        (["track"], "the following arguments are required: SOURCE"),
        (["segment", "MATERIAL/tiny.safetensors"], "expected an image"),
        (["segment", "MATERIAL/frames", "--coco", "no/c.json"], "can't write no/c.json"),
        (["segment", "MATERIAL/frames", "--coco", "a", "--json", "a"], "outputs must differ"),
        (["segment", "MATERIAL/frames", "--json", "MATERIAL/frames/1.png"], "1.png is an input, it"),
        (["info", "vgg"], "expected one of mobilenetv2"),
        (["info", "topformer_t", "--size", "0"], "size must be in 32..4096, got 0"),
        (["dance"], "invalid choice"),
        ([], "required: COMMAND"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    material: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    arguments = [argument.replace("MATERIAL", str(material)) for argument in arguments]
    if arguments[:1] in (["track"], ["segment"]) and "--weights" not in arguments and len(arguments) > 1:
        arguments += ["--weights", str(material / "tiny.safetensors")]
    assert message in fail(*arguments, cwd=tmp_path)


def test_the_file_behind_the_standard_input_is_an_input(material: Path, tmp_path: Path) -> None:
    shutil.copy(material / "clip.mp4", tmp_path)
    before = (tmp_path / "clip.mp4").read_bytes()
    with (tmp_path / "clip.mp4").open("rb") as film:
        done = subprocess.run(
            command("track", "-", "--weights", material / "tiny.safetensors", "--output", "clip.mp4"),
            stdin=film,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "clip.mp4 is an input (/dev/stdin), it can't be an output too" in done.stderr
    assert (tmp_path / "clip.mp4").read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("arguments", [("info",), ("track", "frames", "--json", "o.jsonl", "--size", "64")])
def test_a_full_standard_output_is_named(material: Path, arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "frames").symlink_to(material / "frames")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "mobileinst: error: can't write to standard output: No space left on device\n"


def test_an_interruption_while_the_program_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("raise KeyboardInterrupt")
    start = "import sys; from mobileinst.cli import main; sys.path.insert(0, '.'); sys.exit(main(['info']))"
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    done = subprocess.run(
        [sys.executable, "-c", start], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, "mobileinst: error: interrupted\n")


def test_a_video_that_ends_early_keeps_what_was_read(material: Path, tmp_path: Path) -> None:
    whole = (material / "clip.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    done = call(
        *("track", "cut.mp4", "--weights", material / "tiny.safetensors"),
        *("--output", "o.mp4", "--json", "o.jsonl"),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    kept = len((tmp_path / "o.jsonl").read_text().splitlines())
    assert 0 < kept < FRAMES
    assert f"frame {kept} of {FRAMES} can't be decoded" in done.stderr
    assert f"the {kept} frames before are in o.mp4, o.jsonl" in done.stderr
    assert len(list(open_source(tmp_path / "o.mp4"))) == kept


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(
    ("number", "code", "left"), [("SIGINT", 130, True), ("SIGTERM", 143, False), ("SIGHUP", 129, False)]
)
def test_signals_leave_finished_files_or_none(
    material: Path, tmp_path: Path, number: str, code: int, left: bool
) -> None:
    (tmp_path / "frames").mkdir()
    picture = (material / "frames" / "1.png").read_bytes()
    for i in range(3000):
        (tmp_path / "frames" / f"{i}.png").write_bytes(picture)
    arguments = ("track", "frames", "--weights", material / "tiny.safetensors", "--output", "o.mp4")
    # Ignored signals are inherited: the tests may run under nohup or in a shell's background.
    inherited = signal.signal(getattr(signal, number), signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            command(*arguments, "--json", "-"),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(getattr(signal, number), inherited)
    assert process.stdout is not None
    process.stdout.readline()  # the first frame is through
    process.send_signal(getattr(signal, number))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert {path.name for path in tmp_path.iterdir()} == ({"frames", "o.mp4"} if left else {"frames"})
    if left:
        assert 0 < len(list(open_source(tmp_path / "o.mp4"))) < 3000


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_closed_pipe_ends_quietly(material: Path, tmp_path: Path) -> None:
    arguments = ("track", material / "frames", "--weights", material / "tiny.safetensors", "--json", "-")
    process = subprocess.Popen(
        command(*arguments), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_standard_output_may_be_closed(material: Path, tmp_path: Path) -> None:
    arguments = ("segment", material / "frames" / "1.png", "--weights", material / "tiny.safetensors")
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command(*arguments)]
    done = subprocess.run(closed, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["1-segmented.png"]


def test_info_prints_layers_and_totals(material: Path, tmp_path: Path) -> None:
    said = succeed("info", "topformer_b", "--size", 512, cwd=tmp_path)
    assert "backbone.tpm.stem.0" in said
    assert "total at 512x512" in said
    said = succeed("info", material / "tiny.safetensors", "--size", "64x96", cwd=tmp_path)
    assert "total at 64x96" in said
    assert "classes: person, animal" in said
    assert "data: none" in said


def test_doctor_names_what_there_is(tmp_path: Path) -> None:
    done = call("doctor", cwd=tmp_path)
    for word in ("mobileinst", "Python", "NumPy", "CPU", "instruction set", "XNNPACK", "weights", "pillow"):
        assert word in done.stdout
    assert done.returncode == (0 if "default" in available_weights() else 2)


def test_doctor_reports_a_wrong_tier(tmp_path: Path) -> None:
    environment = {**os.environ, "MOBILEINST_TIER": "z80"}
    done = subprocess.run(
        command("doctor"), cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 2
    assert "PROBLEM" in done.stdout
    assert "z80" in done.stdout


def test_doctor_works_without_the_extension(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {PACKAGES!r}); sys.modules['mobileinst._native'] = None; "
    code += "from mobileinst.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "native extension: can't be loaded" in done.stdout
    assert done.stderr == ""


def test_help_and_version(tmp_path: Path) -> None:
    assert mobileinst.__version__ in succeed("--version", cwd=tmp_path)
    for name in ("track", "segment", "demo", "eval", "info", "doctor"):
        assert name in succeed("--help", cwd=tmp_path)
        assert "usage: mobileinst" in succeed(name, "--help", cwd=tmp_path)


def test_the_package_imports_quickly_and_alone(tmp_path: Path) -> None:
    """Neither the extras nor the command line may load anything but NumPy at import."""
    extras = ["av", "PIL", "torch", "skimage", "pycocotools", "scipy", "cv2"]
    code = f"import sys; sys.path.insert(0, {PACKAGES!r}); import mobileinst, mobileinst.cli; "
    code += "from mobileinst import Segmenter; import mobileinst.video, mobileinst.pipeline; "
    code += f"print([name for name in {extras} if name in sys.modules])"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert time.perf_counter() - start < 20


@pytest.mark.skipif("default" not in available_weights(), reason="no default weights in this build")
def test_the_demo_masks_the_astronaut_and_the_cat(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    said = succeed("demo", cwd=tmp_path)
    assert "demo.mp4" in said
    assert "person" in said
    assert "animal" in said
    assert {path.name for path in tmp_path.iterdir()} == {"demo.mp4", "demo.png"}
