"""Conversations that share their beginning give the states each would give alone."""

from __future__ import annotations

import torch
from softdiv_organisms.batch import TokenisedChat, answer_states

from softdiv.builtin.loaders.tiny import TinyLoader

CONVERSATIONS = [
    TokenisedChat((5, 6, 7, 8, 9), (10, 11, 1)),
    TokenisedChat((5, 6, 7, 12), (13, 1)),
    TokenisedChat((5, 6, 7, 14, 15, 16, 17), (18, 19, 20, 21, 1)),
]


def test_a_batch_equals_every_conversation_alone_in_value_and_gradient() -> None:
    model, _ = TinyLoader().load("cpu")
    together = answer_states(model, CONVERSATIONS)
    together.square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    alone = []
    for conversation in CONVERSATIONS:
        ids = torch.tensor([[*conversation.prompt, *conversation.answer[:-1]]])
        states = model.base_model(input_ids=ids).last_hidden_state[0]
        alone.append(states[len(conversation.prompt) - 1 :])
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)
    torch.cat(alone).square().sum().backward()
    assert gradients
    for name, parameter in model.named_parameters():
        if name in gradients:
            assert parameter.grad is not None
            torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-3, rtol=1e-3)
