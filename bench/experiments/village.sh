#!/usr/bin/env bash
# What distilling and pruning are worth where answers can be counted: students with and without a teacher, half the neurons, zeros in one go and in rounds. docs/lab-log.md has what came out.
#   bench/experiments/village.sh FOLDER        about 40 minutes on one thread; KIDOGO names the program
set -euo pipefail
kidogo=${KIDOGO:-kidogo}
mkdir -p "$1" && cd "$1"

training="--skip-long-conversations true --context 256 --batch 8 --optimizer muon --sample-every 0 --eval-every 0 --threads 1 --json"
fresh="--learning-rate 0.003 --matrix-learning-rate 0.02"
onward="--learning-rate 0.002 --matrix-learning-rate 0.01"

judge() { # 200 stories that nobody trained on: questions right, and nats a token of the answers
    "$kidogo" eval village "$1" --language en --level simple --stories 200 --threads 1 --json | sed -E 's/.*"question_accuracy":([0-9.]+).*"answer_nll":([0-9.]+).*/\1 right, \2 nats/' | sed "s|^|$1: |"
}

"$kidogo" village texts --stories 8000 --language en --level simple --seed 11 --split training
"$kidogo" village few --stories 600 --language en --level simple --seed 21 --split training
"$kidogo" village seen --stories 400 --language en --level simple --seed 7 --split training
"$kidogo" tokenizer train --data texts/stories.txt --vocabulary 435 --chat-template --out tokenizer
"$kidogo" train --data texts/conversations.jsonl --tokenizer tokenizer --shape '{hidden: 128, layers: 4, heads: 4, kv_heads: 4, head_dim: 32, feed_forward: 384, tied: true}' $training $fresh --steps 1600 --out teacher > teacher.log
judge teacher

for texts in texts few; do # few: less to learn from than the teacher had
    for seed in 0 1 2; do
        "$kidogo" distil --teacher teacher --student every-2nd-layer --data $texts/conversations.jsonl $training $onward --steps 400 --seed $seed --out "$texts-taught-$seed" > /dev/null
        judge "$texts-taught-$seed"
        "$kidogo" distil --teacher teacher --teacher-weight 0 --label-weight 1 --student every-2nd-layer --data $texts/conversations.jsonl $training $onward --steps 400 --seed $seed --out "$texts-alone-$seed" > /dev/null
        judge "$texts-alone-$seed"
    done
done

# Half the neurons and 200 steps of healing, beside the same shape from nothing with 800 steps.
"$kidogo" train --data texts/conversations.jsonl --tokenizer tokenizer --shape '{hidden: 128, layers: 4, heads: 4, kv_heads: 4, head_dim: 32, feed_forward: 192, tied: true}' $training $fresh --steps 800 --out half-from-nothing > /dev/null
"$kidogo" prune teacher half --neurons 0.5 --text seen/stories.txt --context 128 --threads 1 --json > half.json
"$kidogo" distil --teacher teacher --student half --data texts/conversations.jsonl $training $onward --steps 200 --out half-healed > /dev/null
for model in half-from-nothing half half-healed; do judge $model; done

for rounds in 1 4; do
    "$kidogo" prune teacher "zeros-$rounds" --method magnitude --sparsity 0.95 --heal texts/conversations.jsonl --steps 240 --rounds $rounds --batch 8 --learning-rate 0.002 --text seen/stories.txt --context 128 --threads 1 --json > "zeros-$rounds.json"
    judge "zeros-$rounds"
done
for model in teacher texts-taught-0 teacher texts-taught-0; do "$kidogo" bench $model --prompt 128 --generate 64 --repeat 5; done
