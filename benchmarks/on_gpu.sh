#!/usr/bin/env bash
# All that needs a CUDA device, in one go of less than ten minutes: the tests marked gpu, then the
# benchmarks, whose results go to the folder given (benchmarks/results by default).
#
#   bash benchmarks/on_gpu.sh [FOLDER]
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
out=${1:-benchmarks/results}
mkdir -p "$out"
python - <<'PYTHON'
import torch, triton
print(torch.cuda.get_device_name(), "torch", torch.__version__, "triton", triton.__version__)
PYTHON
python -m pytest -q -m gpu || echo "Tests failed; what follows is measured all the same."
for name in placement poisson methods; do
    python -m pytest -q "benchmarks/bench_$name.py" --benchmark-columns=median,iqr \
        --benchmark-json="$out/$name-gpu.json" || echo "bench_$name.py failed."
done
