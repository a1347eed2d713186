"""Whole prompts as embeddings, the form in which vLLM takes what no token stands for."""

from __future__ import annotations

from pathlib import Path

from softdiv.export.loaded import SoftRun, named, refuse_scaled, whole_prompt
from softdiv.storage.atomic import write_json_lines, write_tensors

EMBEDS, TEXTS = "prompt_embeds.safetensors", "texts.jsonl"


def vllm(run: SoftRun, folder: Path) -> str:
    """Each held-out text with the soft prompt in its place, for each model.

    Any placement will do: the embeddings are of the whole context.

    Raises:
        PairError: the model scales the embeddings of ids.
    """
    contexts = [run.loaded.layout.soft(example) for example in run.examples]
    for wrapper in run.models:
        refuse_scaled(wrapper, "vLLM", inside=True)
        tensors = {
            example.id: whole_prompt(wrapper, context, run.soft)
            for example, context in zip(run.examples, contexts, strict=True)
        }
        write_tensors(folder / wrapper.name / EMBEDS, tensors, {"base": named(wrapper)})
    lines = [
        {
            "id": example.id,
            "user_text": example.text,
            "before": context.before,
            "soft_tokens": len(run.soft),
            "after": context.after,
        }
        for example, context in zip(run.examples, contexts, strict=True)
    ]
    write_json_lines(folder / TEXTS, lines)
    return ABOUT


ABOUT = f"""\
`model_1/{EMBEDS}` and `model_2/{EMBEDS}` hold, for each held-out text, the whole prompt as
embeddings `[L, H]` in the model's dtype: chat template, text, and the soft prompt in its place.
They are of that model alone. `{TEXTS}` says which text an id is, and which token ids stand before
and after the soft prompt.

    from safetensors.torch import load_file
    from vllm import LLM, SamplingParams

    llm = LLM(MODEL_2, enable_prompt_embeds=True)
    prompts = [{{"prompt_embeds": e}} for e in load_file("model_2/{EMBEDS}").values()]
    llm.generate(prompts, SamplingParams(temperature=0))

`vllm serve --enable-prompt-embeds` takes the same tensors, in base64, as `prompt_embeds` of
`/v1/completions`; `/v1/chat/completions` would put the chat template around them a second time.
The same numbers given to transformers as `inputs_embeds` give softdiv's own answers
(`benchmarks/results/export_equality.json`); vLLM's kernels round differently."""
