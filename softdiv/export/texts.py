"""What was asked and answered, as JSONL, a Hugging Face dataset, samples for Inspect."""

from __future__ import annotations

from pathlib import Path

from softdiv.evaluation.results import defined
from softdiv.export.cases import SAMPLES, Evaluated
from softdiv.storage.atomic import write_json_lines


def jsonl(run: Evaluated, folder: Path) -> str:
    """``samples.jsonl``: a case a line. Returns the card's text, as all exporters do."""
    write_json_lines(folder / SAMPLES, [case.to_dict() for case in run.cases])
    return (
        f"`{SAMPLES}` has one object per answer: `prompt` (empty: no prompt), `messages` (the "
        "conversation as it was asked), `model_1` and `model_2` (their answers), "
        "`divergence_bits` (D of this text) and `log_likelihood_ratio` (nats, of model_2's "
        "answer)."
    )


def dataset(run: Evaluated, folder: Path) -> str:
    """A folder that ``datasets.load_dataset`` reads and a hub shows: data and a card."""
    prompts = [
        {
            "prompt": result.text,
            "searcher": result.searcher,
            "baseline": result.is_baseline,
            "divergence_bits": defined(result.divergence_bits.value),
            "llr_lift": defined(result.llr_lift.value),
            "p_value": result.p_value,
        }
        for result in run.results
    ]
    write_json_lines(folder / "data" / "answers.jsonl", [case.to_dict() for case in run.cases])
    write_json_lines(folder / "data" / "prompts.jsonl", prompts)
    return (
        "Two configurations. `answers`: one row per prompt and held-out user text, with both "
        "models' answers. `prompts`: one row per prompt, with the means over the texts.\n\n"
        '    datasets.load_dataset("FOLDER", "answers", split="test")'
    )


DATASET_HEADER = {
    "pretty_name": "softdiv: two models' answers",
    "tags": ["softdiv", "model-diffing"],
    "configs": [
        {
            "config_name": name,
            "default": name == "answers",
            "data_files": [{"split": "test", "path": f"data/{name}.jsonl"}],
        }
        for name in ("answers", "prompts")
    ],
}
"""What a hub reads at the top of a dataset's card."""


def inspect(run: Evaluated, folder: Path) -> str:
    """Samples for the task ``softdiv/prompts``, which softdiv registers with Inspect."""
    write_json_lines(folder / SAMPLES, [case.to_dict() for case in run.chats])
    return (
        "With `pip install 'softdiv[inspect]'` the task is installed; it asks any model what the "
        "run asked:\n\n"
        f"    inspect eval softdiv/prompts -T samples={folder / SAMPLES} --model MODEL\n\n"
        "`like_suspect` is 1 where the answer shares more words (F1) with model_2's recorded "
        "answer than with model_1's, 0 where fewer, 0.5 where as many; its mean is given for "
        "each prompt. Words in common are a coarse measure of one sampled answer each: compare "
        "the prompts with `(no prompt)`, not a number with 0."
    )
