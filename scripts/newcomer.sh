#!/usr/bin/env bash
# A newcomer's first hour: the wheel alone in a clean environment, two folders with models of their
# own, texts of their own. Stops at the first step that fails; prints how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
export SOFTDIV_CACHE=$work/cache
unset PYTHONPATH

step() { # NAME COMMAND...: its output is shown where it fails
  local name=$1 start=$SECONDS
  shift
  if ! "$@" >"$work/said" 2>&1; then
    cat "$work/said"
    echo "FAILED: $name"
    exit 1
  fi
  printf '%4d s  %s\n' $((SECONDS - start)) "$name"
}

holds() { # FILE TEXT...: each text stands in the file
  local file=$1
  shift
  for text in "$@"; do
    grep -qF -- "$text" "$file" || { cat "$file"; echo "FAILED: no '$text' in $file"; exit 1; }
  done
}

"${PYTHON:-python3}" -m venv "$work/builder"
"$work/builder/bin/python" -m pip install -q hatchling
"$work/builder/bin/python" -m pip wheel -q --no-deps --no-build-isolation -w "$work" "$root"
"${PYTHON:-python3}" -m venv "$work/env"
pip=("$work/env/bin/python" -m pip install -q --no-compile)
PATH=$work/env/bin:$PATH

step "pip install torch" "${pip[@]}" torch==2.13.0 # a CPU build, where the index has one
step "pip install softdiv" "${pip[@]}" -c "$root/constraints.txt" "$work"/softdiv-*.whl
mkdir "$work/home" "$work/elsewhere"
cd "$work/home"
cat >models.py <<'PYTHON'
"""Two small models that share a tokenizer, as folders: what a newcomer brings."""

import json
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
words = {word: n for n, word in enumerate(["<|im_start|>", "<|im_end|>", *letters])}
tokenizer = Tokenizer(models.BPE(words, [], unk_token=None))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
fast.chat_template = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=len(fast), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, max_position_embeddings=512, eos_token_id=fast.eos_token_id,
)
model = LlamaForCausalLM(config)
for name in "AB":
    model.save_pretrained(name)
    fast.save_pretrained(name)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * weight.std() * torch.randn_like(weight)
with open("mine.jsonl", "w") as file:
    for n in range(60):
        file.write(json.dumps({"text": f"Question {n}: what would you do with {n} boats?"}) + "\n")
PYTHON
step "two models of one's own" python models.py
small=(--set training.max_steps=2 --set generation.budget_fte=6000 --set evaluation.test_texts=4)
step "softdiv run A B --texts" softdiv run A B --texts mine.jsonl "${small[@]}" --output-dir run
holds "$work/said" "report.html"
run=$work/home/run
cd "$work/elsewhere"
step "softdiv chat, elsewhere" bash -c "echo 'Who are you?' | softdiv chat '$run'"
step "softdiv evaluate --metric" softdiv evaluate "$run" --metric lexical_jaccard
holds "$run/revisions/2/report.md" lexical_jaccard
step "softdiv export --format inspect" softdiv export "$run" --format inspect
step "pip install softdiv[inspect]" "${pip[@]}" "inspect-ai>=0.3.100"
cat >mock.py <<'PYTHON'
"""`inspect eval softdiv/prompts -T samples=... --model mockllm/model`, without a network."""

import sys
import inspect_ai
from inspect_ai.model import ModelOutput, ModelUsage, get_model


def answer(messages, *rest):
    output = ModelOutput.from_content("mockllm/model", messages[-1].text)
    output.usage = ModelUsage(total_tokens=1)  # else a tokenizer is fetched, to count tokens
    return output


model = get_model("mockllm/model", custom_outputs=answer)
(log,) = inspect_ai.eval(
    "softdiv/prompts", task_args={"samples": sys.argv[1]}, model=model, display="plain"
)
sys.exit(log.status != "success")
PYTHON
step "inspect eval on a mock model" python mock.py "$run/exports/inspect/samples.jsonl"
holds "$work/said" like_suspect
echo "no step failed"
