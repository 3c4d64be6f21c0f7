#!/usr/bin/env bash
# Makes the default model again from SmolLM2-135M-Instruct.Q4_1.gguf, byte for byte on the same kind of processor.
# Usage: models/make-default.sh [SHARED] [OUT.gguf]     SHARED holds models/ and corpora/ (default ../shared)
# KIDOGO names the program (default: dotnet run of this checkout).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
shared=$(cd "${1:-$here/../../shared}" && pwd)
out=${2:-$here/SmolLM2-135M-Instruct.kidogo.gguf}
kidogo=(${KIDOGO:-dotnet run -c Release --project "$here/../src/Kidogo.Cli" --})
parent=$shared/models/SmolLM2-135M-Instruct.Q4_1.gguf
echo "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53  $parent" | sha256sum -c --quiet

# Texts whose licences let them shape a model that is given away. Nothing is trained on them: they decide which tokens stay and which columns of the embedding count.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/vocabulary"
cp "$shared/corpora/wikitext-2/valid.txt" "$work/vocabulary/wikitext-2-valid.txt"
cp "$shared/corpora/shakespeare/input.txt" "$work/vocabulary/shakespeare.txt"
gzip -dc "$shared/corpora/european/eng/global-voices.txt.gz" > "$work/vocabulary/eng-global-voices.txt"
gzip -dc "$shared/corpora/european/fra/treebank.txt.gz" > "$work/vocabulary/fra-treebank.txt"
gzip -dc "$shared/corpora/african/swa/global-voices.txt.gz" > "$work/vocabulary/swa-global-voices.txt"
{ head -c 200000 "$work/vocabulary/wikitext-2-valid.txt"; head -c 60000 "$work/vocabulary/fra-treebank.txt"; head -c 60000 "$work/vocabulary/swa-global-voices.txt"; } > "$work/calibration.txt"
head -c 65536 "$shared/corpora/wikitext-2/test.txt" > "$work/wikitext-2-test.txt"
measured=("$shared/corpora/udhr/eng.txt" "$work/wikitext-2-test.txt" "$shared/corpora/udhr/fra.txt" "$shared/corpora/udhr/swh.txt") # the model's passport carries the beginning of the first

# 1. The tokens that these texts use. The matrices stay as they are; tokens that are gone are spelt with others.
"${kidogo[@]}" trim-vocabulary "$parent" "$work/SmolLM2-135M-Instruct.trimmed.gguf" --text "$work/vocabulary" --measure-bytes 0

# 2. The embedding, which is the head too, in 4.5 bits where it had 8.5; all else keeps its blocks, so nothing else is lost.
"${kidogo[@]}" calibrate "$work/SmolLM2-135M-Instruct.trimmed.gguf" --text "$work/calibration.txt" --tokens 65536 --out "$work/calibration.gguf"
"${kidogo[@]}" quantize "$work/SmolLM2-135M-Instruct.trimmed.gguf" "$out" --format Q4_1 --pure --tensor token_embd=IQ4_NL --calibration "$work/calibration.gguf" "${measured[@]/#/--measure=}"

bytes=$(wc -c < "$out")
echo "$out: $bytes bytes" >&2
[ "$bytes" -le 80000000 ] || { echo "more than 80 MB" >&2; exit 1; }
"${kidogo[@]}" verify "$out"
