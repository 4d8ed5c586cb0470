"""Cycles of the NEON kernels' inner loops by llvm-mca, and their share of the core's multiply-add rate.

    python -m benchmarks.arm.inner_loops                          # needs g++-aarch64-linux-gnu and llvm-19
    python -m benchmarks.arm.inner_loops gemm winograd --cores neoverse-n1 cortex-a72
    python -m benchmarks.arm.inner_loops --tier neon_fp16 --cores neoverse-n1 cortex-a55
    python -m benchmarks.arm.inner_loops int8_tiles --tier neon_i8mm --cores neoverse-v1

The tier's files are compiled as in the package. Listed are the innermost loops that hold multiply-adds, or
those of them in functions whose names contain one of the words. neoverse-n1 stands for Cortex-A76, whose own
model LLVM lacks; it issues two vector multiply-adds in a cycle, cortex-a72 is modelled with one.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.command import make_parser, run
from benchmarks.support.results import markdown_table

SOURCES = Path(__file__).resolve().parents[2] / "src" / "cpp"
#: Flags of the tiers, as in cmake/instruction_sets.cmake.
TIERS = {
    "neon": [],
    "neon_fp16": ["-march=armv8.2-a+fp16", "-DMOBILEINST_HALF"],
    "neon_dot": ["-march=armv8.2-a+fp16+dotprod"],
    "neon_i8mm": ["-march=armv8.2-a+fp16+dotprod+i8mm"],
}
#: Vector multiply-adds that a core starts in a cycle, in LLVM's model.
ISSUE = {"neoverse-n1": 2, "cortex-a72": 1, "cortex-a55": 2, "neoverse-v1": 4}
_LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*?)\s*(?:<.*>)?\s*(?://.*)?$")

_FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
_BRANCH = re.compile(r"b$|b\.|cbn?z$|tbn?z$")


@dataclass(frozen=True)
class Instruction:
    """One line of a disassembly."""

    address: int
    mnemonic: str
    operands: str
    function: str

    @property
    def multiplies(self) -> bool:
        return self.mnemonic in ("fmla", "fmls", "sdot", "smmla")


def compile_tier(folder: Path, compiler: str, tier: str) -> list[Path]:
    """Object files of a tier's kernels, with the flags of a release build."""
    flags = ["-std=c++17", "-O3", "-DNDEBUG", "-ffp-contract=off", "-fPIC", "-fvisibility=hidden"]
    flags += TIERS[tier]
    objects = []
    for source in (SOURCES / "tiers" / f"{tier}.cpp", *sorted(SOURCES.glob(f"kernels/*/*_{tier}.S"))):
        objects.append(folder / f"{source.stem}.o")
        command = [compiler, *flags, "-I", str(SOURCES), "-c", str(source), "-o", str(objects[-1])]
        subprocess.run(command, check=True)
    return objects


def disassemble(path: Path, tool: str) -> list[Instruction]:
    """Instructions of an object file in order."""
    done = subprocess.run(
        [tool, "-dC", "--no-show-raw-insn", str(path)], check=True, capture_output=True, text=True
    )
    code, function = [], ""
    for line in done.stdout.splitlines():
        if header := _FUNCTION.match(line):
            function = short_name(header[1])
        elif found := _LINE.match(line):
            code.append(Instruction(int(found[1], 16), found[2], found[3], function))
    return code


def short_name(signature: str) -> str:
    """A demangled function without namespaces and parameters: "gemm_tiles<4, 4, RawRows>"."""
    name = signature.replace("mobileinst::", "").replace("(anonymous namespace)::", "")
    return name.partition("(")[0].rpartition("void ")[2]


def innermost_loops(code: list[Instruction]) -> list[list[Instruction]]:
    """Bodies from a backward branch's target to the branch, that hold no other such body."""
    index = {instruction.address: i for i, instruction in enumerate(code)}
    spans = []
    for i, instruction in enumerate(code):
        if not _BRANCH.match(instruction.mnemonic):
            continue
        target = re.search(r"([0-9a-f]+)$", instruction.operands)
        start = index.get(int(target[1], 16)) if target else None
        if start is not None and start < i:
            spans.append((start, i))
    inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return [code[start : end + 1] for start, end in sorted(set(inner))]


def cycles(body: list[Instruction], core: str, tool: str) -> float:
    """Cycles of one pass in the steady state."""
    # mca knows no addresses: branches, which are not on the multiply-adds' pipes, are left out.
    lines = [f"{x.mnemonic} {x.operands}" for x in body if not _BRANCH.match(x.mnemonic)]
    command = [tool, "-mtriple=aarch64", f"-mcpu={core}", "-iterations=300"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True)
    total = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    if total is None:
        raise RuntimeError(f"{tool} failed: {done.stderr[-500:]}")
    return int(total[1]) / 300


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("words", nargs="*", help="parts of functions' names")
    parser.add_argument("--tier", default="neon", choices=list(TIERS))
    parser.add_argument("--cores", nargs="+", default=["neoverse-n1", "cortex-a72"], choices=list(ISSUE))
    parser.add_argument("--compiler", default="aarch64-linux-gnu-g++")
    parser.add_argument("--objdump", default="aarch64-linux-gnu-objdump")
    parser.add_argument("--mca", default="llvm-mca-19")
    parser.add_argument(
        "--least", type=int, default=8, help="multiply-adds that a loop must hold to be listed"
    )
    options = parser.parse_args()
    header = ["function, loop at", "instructions", "multiply-adds"]
    for core in options.cores:
        header += [f"{core} cycles", "of issue"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        objects = compile_tier(Path(folder), options.compiler, options.tier)
        for body in (x for path in objects for x in innermost_loops(disassemble(path, options.objdump))):
            function = body[0].function
            count = sum(x.multiplies for x in body)
            if count < options.least or (options.words and not any(x in function for x in options.words)):
                continue
            row = [f"{function} {body[0].address:x}", len(body), count]
            for core in options.cores:
                taken = cycles(body, core, options.mca)
                row += [f"{taken:.1f}", f"{count / ISSUE[core] / taken:.0%}"]
            rows.append(row)
    print(markdown_table(header, rows), end="")


if __name__ == "__main__":
    run(main)
