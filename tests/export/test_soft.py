"""The soft prompt in other libraries: equal to softdiv's own path, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from softdiv.builtin.loaders.tiny import TEMPLATE
from softdiv.config.schema import Placement
from softdiv.errors import PairError, RunError
from softdiv.export.loaded import refuse_scaled
from softdiv.export.peft import Around
from tests.export.equality import BOS_ONCE, TOKENS, differences, soft_run

EQUAL = 1e-4
"""nats, fp32"""


@pytest.mark.parametrize("template", [TEMPLATE, BOS_ONCE], ids=["no BOS", "BOS once"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_peft_vllm_and_transformers_answer_alike(
    tmp_path: Path, architecture: str, template: str
) -> None:
    run = soft_run("prefix", architecture, template)
    for wrapper in run.models:
        found = differences(run, wrapper, tmp_path)
        for name in ("peft", "vllm tensor", "transformers"):
            assert all(one.same_tokens and one.nats < EQUAL for one in found[name]), name
        # the trap of the card: all but the longest text
        padded = [one.nats for one in found["peft, padded left"]]
        assert max(padded) > 100 * EQUAL and min(padded) < EQUAL


@pytest.mark.parametrize("placement", ["system", "user_start", "user_end"])
def test_vllm_takes_any_placement_and_peft_is_refused(tmp_path: Path, placement: Placement) -> None:
    run = soft_run(placement)
    found = differences(run, run.models[1], tmp_path)
    assert all(one.same_tokens and one.nats < EQUAL for one in found["vllm tensor"])
    with pytest.raises(RunError, match=r"at '.*training\.placement=prefix"):
        Around.of(run.loaded.layout, run.examples)


def test_an_adapter_holds_the_prompt_and_what_stands_beside_it(tmp_path: Path) -> None:
    run = soft_run("prefix", template=BOS_ONCE)
    differences(run, run.models[0], tmp_path)
    config = json.loads((tmp_path / "peft/model_1/adapter_config.json").read_text())
    one, two = (
        load_file(tmp_path / f"peft/model_{n}/adapter_model.safetensors")["prompt_embeddings"]
        for n in (1, 2)
    )
    assert config["num_virtual_tokens"] == len(one) == TOKENS + 2  # BOS before, a line's end behind
    assert torch.equal(one[1 : 1 + TOKENS], run.soft) and torch.equal(two[1 : 1 + TOKENS], run.soft)
    assert torch.equal(one[0], run.models[0].embedding_table[0])
    assert torch.equal(two[0], run.models[1].embedding_table[0])
    assert not torch.equal(one[0], two[0])


def test_a_model_that_scales_its_embeddings_is_refused() -> None:
    run = soft_run()
    wrapper = run.models[0]
    module = wrapper.model.get_input_embeddings()
    module.register_forward_hook(lambda module, inputs, output: 2 * output)  # as Gemma's does
    refuse_scaled(wrapper, "PEFT", inside=False)  # which calls the module
    with pytest.raises(PairError, match="vLLM cannot express .* llama model"):
        refuse_scaled(wrapper, "vLLM", inside=True)
    wrapper._scale = 3.0  # as Falcon-H1, outside the module
    with pytest.raises(PairError, match="PEFT cannot express"):
        refuse_scaled(wrapper, "PEFT", inside=False)
