#!/usr/bin/env bash
# All that needs a CUDA device, in one go of less than ten minutes, most valuable first: the tests
# marked gpu, the shares that the kernels reach of what the device can do, then the benchmarks.
# Results go to the folder given (benchmarks/results by default) as soon as they are there.
#
#   bash benchmarks/on_gpu.sh [FOLDER]
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
out=${1:-benchmarks/results}
python=${PYTHON:-python3}
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
mkdir -p "$out"

"$python" - <<'PYTHON' || exit 1
import platform, sys
import cv2, pytest_benchmark, torch, triton

print("Python", platform.python_version(), "torch", torch.__version__, "CUDA", torch.version.cuda,
      "triton", triton.__version__, "OpenCV", cv2.__version__)
if not torch.cuda.is_available():
    sys.exit("Expected a CUDA device, found none.")
for number in range(torch.cuda.device_count()):
    device = torch.cuda.get_device_properties(number)
    print(f"{device.name}, {device.multi_processor_count} multiprocessors, "
          f"{device.total_memory / 2**30:.0f} GiB, capability {device.major}.{device.minor}")
PYTHON

step() { # step SECONDS COMMAND...: what fails or takes too long does not keep the rest
    echo "== ${*:2} (at $SECONDS s)"
    timeout -k 10 "$1" "${@:2}" || echo "Failed with status $?; what follows is measured all the same."
}
# Warnings of other versions are no failures here.
pytest=("$python" -m pytest -q -W default -p no:cacheprovider)
step 200 "${pytest[@]}" -m gpu tests/test_gpu.py
step 60 "$python" benchmarks/gpu_shares.py -o "$out/shares-gpu.json"
for name in placement painting methods; do
    step 95 "${pytest[@]}" "benchmarks/bench_$name.py" -k cuda --benchmark-columns=median,iqr \
        --benchmark-json="$out/$name-gpu.json"
done
echo "== Done (at $SECONDS s)"
