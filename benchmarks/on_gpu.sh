#!/usr/bin/env bash
# All that needs a CUDA device, most valuable first, in one go of less than ten minutes, or, with
# "short", of less than four. See on_gpu.py.
#
#   bash benchmarks/on_gpu.sh [short] [--pack FILE] [-o FOLDER] [--dry]
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" benchmarks/on_gpu.py "$@"
