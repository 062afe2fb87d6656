"""The Triton kernels compiled to machine code for a GPU, which takes none.

The interpreter shows what kernels compute, and nothing of types, alignment and what the compiler
refuses. A process of its own, for Triton settles at its import whether it interprets.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

triton = pytest.importorskip("triton")
BINARIES = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
pytestmark = pytest.mark.skipif(
    not (BINARIES / "ptxas").exists(), reason="this Triton brings no assembler for NVIDIA's GPUs"
)


@pytest.fixture(scope="module", params=[90, pytest.param(80, marks=pytest.mark.slow)])
def compiled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """The instructions of each kernel that touch memory or round, by the name of the case."""
    environment = {name: text for name, text in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    done = subprocess.run(
        [sys.executable, __file__, str(request.param)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_launch_compiles(compiled: dict[str, list[str]]) -> None:
    assert {name.split()[0] for name in compiled} == {"_place", "_settle", "_fill", "_paint"}


def test_claims_are_64_bit_minima_that_wait_for_nothing_else(
    compiled: dict[str, list[str]],
) -> None:
    for name in ("_place plain", "_place scored"):
        claims = {one for one in compiled[name] if one.startswith("atom")}
        assert claims == {"atom.global.gpu.relaxed.min.s64"}


def test_maps_are_stored_16_bytes_at_a_time(compiled: dict[str, list[str]]) -> None:
    for name in ("_fill bfloat16", "_fill bits", "_fill float64"):
        stores = {one for one in compiled[name] if one.startswith("st.")}
        assert stores <= {"st.global.v4.b32", "st.global.v2.b64"}, name
        assert stores


def test_what_is_rounded_is_so_to_nearest(compiled: dict[str, list[str]]) -> None:
    assert {one for one in compiled["_fill bfloat16"] if "bf16" in one} == {"cvt.rn.bf16x2.f32"}
    for name in ("_fill float32 geometry", "_fill float64 geometry", "_paint 8"):
        quotients = {one for one in compiled[name] if one.startswith("div") and ".f" in one}
        assert quotients, name
        assert all(one.startswith("div.rn.") for one in quotients), name


def test_scores_are_compared_by_their_bits(compiled: dict[str, list[str]]) -> None:
    """Arithmetic may take the smallest for 0."""
    assert not [one for one in compiled["_place scored"] if one.startswith(("add", "sub", "mul"))]


def test_ends_of_runs_are_64_bit_sums_and_nothing_is_fused(compiled: dict[str, list[str]]) -> None:
    adds = {one for one in compiled["_paint 8"] if one.startswith(("atom", "red"))}
    assert {one.split(".", 1)[1] for one in adds} == {"global.gpu.relaxed.add.u64"}
    assert not [one for one in compiled["_paint 8"] if one.startswith("fma")]


def compile_all(capability: int) -> dict[str, list[str]]:
    """Call every launcher as its op does, with a compiler in the place of the device."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    class NoDevice:
        get_current_target = staticmethod(lambda: GPUTarget("cuda", capability, 32))
        get_current_device = staticmethod(lambda: 0)
        get_current_stream = staticmethod(lambda _device: 0)

    found: dict[str, list[str]] = {}
    cases, run = [""], JITFunction.run

    def only_compile(self: JITFunction, *args: object, warmup: bool, **options: object) -> None:
        code = run(self, *args, warmup=True, **options).asm
        assert code["cubin"]
        access, rounding = r"(?:st|ld|atom|red)\.global", r"cvt|div|(?:add|sub|mul|fma)(?=\S*\.f)"
        told = rf"^\s*(?:@!?%p\d+ )?((?:{access}|{rounding})[.\w:]*)"
        found[f"{self.__name__} {cases[-1]}"] = re.findall(told, code["ptx"], re.MULTILINE)

    driver.set_active(NoDevice())
    JITFunction.run = only_compile
    from invertdesc.ops import _kernels, _paint_kernel

    for case, total, images, side, cells, radius in (
        ("plain", 300, 1, 256, (2, 4), 1),
        ("scored", 19_200, 64, 256, (2, 4), 1),
        ("one", 1, 1, 1, (1,), 0),
    ):
        cases.append(case)
        points, scores = torch.rand(total, 2) * side, torch.rand(total)
        offsets = torch.linspace(0, total, images + 1).long()
        scored = scores if case == "scored" else None
        _kernels.place(points, offsets, scored, (side, side), cells, radius)

    vectors, raw = torch.rand(3, 128), torch.randint(0, 256, (3, 64), dtype=torch.uint8)
    for case, rows, told, length, dtype, side in (
        ("bfloat16", vectors, False, 128, torch.bfloat16, 64),
        ("float32 geometry", vectors, True, 128, torch.float32, 64),
        ("bits", raw, False, 512, torch.bfloat16, 64),
        ("bits geometry", raw[:, :61], True, 486, torch.float16, 64),
        ("float64", vectors.double(), False, 128, torch.float64, 64),
        ("float64 geometry", vectors.double(), True, 128, torch.float64, 64),
        ("one", vectors[:1, :1], True, 1, torch.float32, 1),
    ):
        cases.append(case)
        geometry = torch.rand(3, 5, dtype=rows.dtype if rows.is_floating_point() else None)
        owners = torch.full((2, side, side), -1, dtype=torch.int32)
        _kernels.fill(rows, owners, geometry if told else None, side // 16 + 1, length, dtype)

    for grid, side in ((8, 64), (3, 37), (1, 1)):
        cases.append(str(grid))
        _paint_kernel.paint(
            torch.zeros(3, 5, grid, grid, dtype=torch.int64),
            torch.rand(5, 5, dtype=torch.float64),
            torch.ones(5, dtype=torch.int64),
            torch.zeros(5, dtype=torch.int64),
            torch.zeros(3, 2, side, side + 1, dtype=torch.int64),
        )
    return found


if __name__ == "__main__":
    print(json.dumps(compile_all(int(sys.argv[1]))))
