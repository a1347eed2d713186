"""A server of our own that speaks the protocol over a tiny model, with the habits of real ones."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import attrs
import torch


@attrs.define
class Habits:
    """What a server does otherwise than the exact one."""

    logprobs: bool = True
    refuses_logprobs: bool = False
    fails_at_logprobs: bool = False
    """instead of refusing them, as llama.cpp does without ``--logits_all``"""
    needs_top: bool = False
    """no log-probabilities but where the likeliest tokens are asked for too: llama.cpp"""
    shows_halves: Literal["bytes", "dropped", "replaced"] = "bytes"
    """how a token is shown that is a part of a character"""
    base: float = math.e
    """of its logarithms"""
    cut_off: float = 0.0
    """unless told otherwise (``min_p``), tokens of less than this share of the likeliest one's
    probability are never drawn"""
    penalty: float = 1.0
    """unless told otherwise (``repeat_penalty``), of every token that was there before"""
    plain_words: bool = True
    """it knows those words, else it refuses them as unknown"""
    deaf: bool = False
    """it takes those words and does not heed them"""
    takes_ids: bool = True
    echo_shift: int = 0
    """places by which echoed numbers are off: llama.cpp, where there is no BOS"""
    gives_end: bool = True
    """the token that ends an answer is among those with a log-probability"""
    tempered: bool = False
    """log-probabilities are those after temperature"""
    echoes: bool = True
    adds_bos: bool = False
    unlikely: float | None = None
    """given in place of whatever is less likely than this"""
    reasoning: str = ""
    """said before the answer, and not part of it"""
    refusals: int = 0
    """requests still to be refused for their rate"""
    broken: bool = False
    asked: list[dict[str, Any]] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)


@contextmanager
def serving(model: Any, tokenizer: Any, habits: Habits) -> Iterator[str]:
    """The base URL of a server of one model."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                habits.asked.append(asked)
                habits.headers.append(dict(self.headers))
                refused = habits.refusals > 0
                habits.refusals -= refused
                if refused:
                    return self._send(429, {"error": {"message": "slow down"}})
                if habits.broken:
                    return self._send(500, {"error": {"message": "out of order"}})
                if asked.get("logprobs") and habits.refuses_logprobs:
                    return self._send(400, {"error": {"message": "logprobs is not supported"}})
                if asked.get("logprobs") and habits.fails_at_logprobs:
                    return self._send(500, {"error": {"message": "no logits_all"}})
                if "min_p" in asked and not habits.plain_words:
                    return self._send(400, {"error": {"message": "unknown argument: min_p"}})
                if not isinstance(asked.get("prompt", []), str) and not habits.takes_ids:
                    return self._send(422, {"detail": "prompt: should be a valid string"})
                chat = self.path.endswith("/chat/completions")
                answer = _chat if chat else _completion
                self._send(200, answer(model, tokenizer, habits, asked))

        def _send(self, code: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if code == 429:
                self.send_header("Retry-After", "0.01")
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def whole_characters(model: Any, tokenizer: Any) -> tuple[Any, Any]:
    """The same, but it hardly ever draws a token that is no whole text: a real model does not."""
    count = model.get_output_embeddings().weight.shape[0]
    halves = [i for i in range(count) if "\ufffd" in tokenizer.decode([i])]
    plain = model.forward

    def forward(**inputs: Any) -> Any:
        out = plain(**inputs)
        out.logits[..., halves] -= 30.0
        return out

    model.forward = forward
    return model, tokenizer


@torch.no_grad()
def log_probs(model: Any, ids: list[int]) -> Any:
    """``[L, V]`` nats."""
    return model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)


@torch.no_grad()
def drawn(
    model: Any, tokenizer: Any, before: list[int], asked: dict[str, Any], habits: Habits
) -> tuple[list[int], list[Any], bool]:
    """Token ids, the log-probabilities at each, and whether the last is an end."""
    generator = torch.Generator().manual_seed(asked.get("seed") or 0)
    temperature = asked.get("temperature", 1.0)
    told = {} if habits.deaf else asked
    penalty, least = told.get("repeat_penalty", habits.penalty), told.get("min_p", habits.cut_off)
    ids: list[int] = []
    rows = []
    fresh, cache = before, None
    for _ in range(asked["max_tokens"]):
        out = model(input_ids=torch.tensor([fresh]), past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        row = out.logits[0, -1].double().log_softmax(-1)
        chosen = row.clone()
        chosen[[*before, *ids]] *= penalty
        if temperature == 0:
            token = int(chosen.argmax())
        else:
            if least:
                chosen[chosen < chosen.max() + math.log(least)] = -math.inf
            chances = (chosen / temperature).softmax(-1)
            token = int(torch.multinomial(chances, 1, generator=generator))
        ids.append(token)
        rows.append(row)
        if token == tokenizer.eos_token_id:
            return ids, rows, True
        fresh = [token]
    return ids, rows, False


def _chat(model: Any, tokenizer: Any, habits: Habits, asked: dict[str, Any]) -> dict[str, Any]:
    before = tokenizer.apply_chat_template(
        asked["messages"], add_generation_prompt=True, return_dict=False
    )
    ids, rows, ended = drawn(model, tokenizer, before, asked, habits)
    own = [i for i in ids if i not in tokenizer.all_special_ids]
    text = b"".join(map(_bytes_of, tokenizer.convert_ids_to_tokens(own))).decode(
        "utf-8", "ignore" if habits.shows_halves == "dropped" else "replace"
    )
    temperature = asked.get("temperature", 1.0) or 1.0
    shown = [n for n, i in enumerate(ids) if i in own or (habits.gives_end and ended)]
    entries = []
    for n in shown:
        row = (rows[n] / temperature).log_softmax(-1) if habits.tempered else rows[n]
        best = row.topk(asked.get("top_logprobs", 0)).indices.tolist()
        entries.append(
            {
                **_entry(tokenizer, ids[n], row, habits),
                "top_logprobs": [_entry(tokenizer, i, row, habits) for i in best],
            }
        )
    for word in habits.reasoning.split():
        entries.insert(0, {"token": word, "bytes": None, "logprob": -1.0, "top_logprobs": []})
    wanted = asked.get("logprobs") and habits.logprobs
    if habits.needs_top and not asked.get("top_logprobs"):
        wanted = False
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop" if ended else "length",
        "logprobs": {"content": entries} if wanted else None,
    }
    return {**_usage(len(before), len(ids)), "object": "chat.completion", "choices": [choice]}


def _entry(tokenizer: Any, token: int, row: Any, habits: Habits) -> dict[str, Any]:
    name = tokenizer.convert_ids_to_tokens(token)
    raw = name.encode() if token in tokenizer.all_special_ids else _bytes_of(name)
    value = float(row[token]) / math.log(habits.base)
    if habits.unlikely is not None and value < habits.unlikely:
        value = -9999.0
    if habits.shows_halves == "bytes":
        shown = {"token": raw.decode("utf-8", "replace"), "bytes": list(raw)}
    elif habits.shows_halves == "dropped":
        shown = {"token": raw.decode("utf-8", "ignore"), "bytes": None}
    else:
        text = raw.decode("utf-8", "replace")
        shown = {"token": text, "bytes": list(text.encode())}
    return {**shown, "logprob": value}


def _bytes_of(name: str) -> bytes:
    back = _bytes_by_letter()
    return bytes(back[letter] for letter in name)


def _bytes_by_letter() -> dict[str, int]:
    """GPT-2's way of writing bytes as letters, backwards."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + n): b for n, b in enumerate(rest)}


def _completion(
    model: Any, tokenizer: Any, habits: Habits, asked: dict[str, Any]
) -> dict[str, Any]:
    before = [*([tokenizer.bos_token_id] if habits.adds_bos else []), *asked["prompt"]]
    ids, rows, ended = drawn(model, tokenizer, before, asked, habits)
    text = tokenizer.decode([i for i in ids if i not in tokenizer.all_special_ids])
    logprobs = None
    if asked.get("logprobs") is not None and habits.logprobs:
        both, values = ids, [float(row[i]) for row, i in zip(rows, ids, strict=True)]
        if asked.get("echo") and habits.echoes:
            both, values = [*before, *ids], [*_echoed(model, before, habits), *values]
        best = [row.topk(asked["logprobs"] or 1) for row in rows]
        logprobs = {
            "tokens": [tokenizer.decode([i]) for i in both],
            "token_logprobs": values,
            "top_logprobs": [
                {str(i): v for i, v in zip(b.indices.tolist(), b.values.tolist(), strict=True)}
                for b in best
            ],
        }
    choice = {
        "index": 0,
        "text": text,
        "finish_reason": "stop" if ended else "length",
        "logprobs": logprobs,
    }
    return {**_usage(len(before), len(ids)), "object": "text_completion", "choices": [choice]}


def _echoed(model: Any, before: list[int], habits: Habits) -> list[Any]:
    """The first token has no number."""
    table = log_probs(model, before)
    places = range(1, len(before))
    return [None, *(float(table[n - 1 + habits.echo_shift, before[n]]) for n in places)]


def _usage(read: int, written: int) -> dict[str, Any]:
    usage = {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }
    return {"id": "x", "created": 0, "model": "tiny", "usage": usage}
