#!/usr/bin/env bash
# Three ways to choose half of SmolLM2's weights, calibrated on one text and judged on another; then 2:4 in SQ4_0 beside Q4_0 of the same weights.
#   bench/experiments/sparsity.sh MODEL.gguf CALIBRATION.txt TEST.txt FOLDER        KIDOGO names the program
set -euo pipefail
kidogo=${KIDOGO:-kidogo}
model=$1 calibration=$2 test=$3 folder=$4
mkdir -p "$folder"
echo "$model" && "$kidogo" eval perplexity "$model" --text "$test"
for sparsity in 0.5 2:4; do
    for method in magnitude wanda sparsegpt; do
        out="$folder/$method-${sparsity/:/of}.gguf"
        text=(--text "$calibration" --tokens 8192)
        [ $method = magnitude ] && text=()
        "$kidogo" prune "$model" "$out" --method $method --sparsity $sparsity --format F16 "${text[@]}" --json > "$out.json"
        echo "$out" && "$kidogo" eval perplexity "$out" --text "$test"
    done
done
for format in Q4_0 SQ4_0; do "$kidogo" quantize "$folder/sparsegpt-2of4.gguf" "$folder/$format.gguf" --format $format; done
ls -l "$folder"/*Q4_0.gguf
for _ in 1 2 3; do # in turn, so that a machine that slows down slows both
    for format in Q4_0 SQ4_0; do echo $format && "$kidogo" bench "$folder/$format.gguf" --prompt 128 --generate 96 --repeat 5; done
done
