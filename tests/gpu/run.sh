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
    # The same steps on four small models, and on 20 people seen 4 and 20 times.
    sed -e 's/people: [0-9]*/people: 20/; s/exposures: 1000/exposures: 20/; s/\[100\]/[4]/; s/\[1000\]/[20]/' \
        recipes/laws/laws-gpu.yaml >"$OUT/small.yaml"
    step speed 120 "$PYTHON" tests/bench/probe_stack.py --models 4 --width 16 --rounds 1 --steps 5
    step laws 60 "$PYTHON" -c 'import sys
from pathlib import Path
from recipes.app.measure.laws import run_laws
run_laws(Path(sys.argv[1]), False, None, None, Path(sys.argv[2]), print, compile="never")' "$OUT/laws" "$OUT/small.yaml"
fi
cat "$OUT/steps.txt"
