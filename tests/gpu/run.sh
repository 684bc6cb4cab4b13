#!/bin/sh
# What a CUDA device is asked for, in at most four minutes: the CUDA tests, the speed of 64 stacked models against a loop
# and against single models as graphs, and results 1 and 4 of docs/laws.md on biographies. Run it from the repository's
# root, with an interpreter that has a CUDA build of torch:
#
#     PYTHON=python3 tests/gpu/run.sh report        # then read report/steps.txt
#     DEVICE=cpu tests/gpu/run.sh report            # the script itself, where there is no GPU: small
set -u
OUT=${1:-gpu-report}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-.venv/bin/python}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
mkdir -p "$OUT"
END=$(($(date +%s) + ${BUDGET:-235}))

# step NAME SECONDS COMMAND...: within what is left of the budget; what it says goes to a file of its own.
step() {
    name=$1 most=$2
    shift 2
    left=$((END - $(date +%s)))
    [ "$left" -lt "$most" ] && most=$left
    began=$(date +%s)
    if [ "$most" -gt 0 ]; then timeout "$most" "$@" >"$OUT/$name.txt" 2>&1; else false; fi
    echo "$name: exit $?, $(($(date +%s) - began)) s of $most" | tee -a "$OUT/steps.txt"
}

date -u >"$OUT/steps.txt"
step device 20 "$PYTHON" -c 'import torch; print(torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_name())'
step tests 80 "$PYTHON" -m pytest -q -p no:cacheprovider tests/gpu tests/train_probe/test_meta_device.py
if [ "$DEVICE" = cuda ]; then
    step speed 60 "$PYTHON" tests/bench/probe_stack.py --device cuda --rounds 3
    step laws 150 "$PYTHON" -m recipes.app.start laws --gpu -o "$OUT/laws"
else
    step speed 60 "$PYTHON" tests/bench/probe_stack.py --rounds 1 --steps 5
    step laws 150 "$PYTHON" -m recipes.app.start laws --gpu --quick -o "$OUT/laws"
fi
cat "$OUT/steps.txt"
