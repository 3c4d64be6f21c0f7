#!/usr/bin/env bash
# Packs the program as a tool, installs that into a temporary folder, publishes it as one file, and asks both for an answer: docs/how-to/install.md.
# Needs some minutes and a gigabyte in the temporary folder; the one file needs the runtime packs of NuGet. Ends with "packages: ok".
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
system=${1:-linux-x64}

ask() { # what a program says of itself, and two tokens of the default model, from a folder that has no models
    (cd "$work" && "$1" --version && "$1" run "Why is the sky blue?" --max-tokens 2 --temperature 0 && echo && "$1" explain int8 --json | grep -q '\[121,-54,83,2\]')
}

dotnet pack -v q -c Release src/Kidogo.Cli -o "$work/packages"
dotnet tool install Kidogo --tool-path "$work/tool" --add-source "$work/packages"
ask "$work/tool/kidogo"

dotnet publish -v q src/Kidogo.Cli -c Release -r "$system" --self-contained -p:PublishSingleFile=true -o "$work/one"
[ "$(find "$work/one" -maxdepth 1 -type f | wc -l)" = 1 ] || { echo "the one file is not alone:" && ls "$work/one" && exit 1; }
case $system in linux-x64) ask "$work/one/kidogo" ;; esac

# Alone, without its models, it says what is missing in one line.
cp "$work/one/kidogo" "$work/alone"
if (cd "$work" && ./alone run hi) 2> "$work/error"; then echo "a model came from nowhere" && exit 1; fi
grep -q "there is no default model" "$work/error"
echo "packages: ok"
