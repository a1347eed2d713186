"""Which token ids mean the same in both models. The rows of the others are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from softdiv.data.shipped_texts import user_texts
from softdiv.errors import PairError

PROBES = ("How do these two differ? 12,345 naïve café\n", "  x = f(a)[0];\t// 'ok'\n\n")
MOST_UNREACHABLE = 1000
NAMED = 5


@attrs.frozen
class SharedTokens:
    """The distributions' support: V rows of the heads, less those left out."""

    rows: int
    """V: one more than the largest id that means the same in both and has a row in both heads."""
    left_out: tuple[int, ...]
    """Ids below V that do not, in order."""
    unshared: frozenset[int]
    """Ids that a tokenizer knows and the two do not share: no text may need one."""
    notes: tuple[str, ...]


def shared_tokens(tokenizer_1: Any, tokenizer_2: Any, heads: Sequence[int]) -> SharedTokens:
    """Compare two tokenizers id by id.

    A tuned model often renames a reserved token or has a few more: each costs its own row, and
    rows that pad a head to a round number are no tokens. Tokens that texts are made of must all
    be shared.

    Args:
        heads: rows of each model's output head.

    Raises:
        PairError: the same ids mean different texts.
    """
    vocab_1, vocab_2 = tokenizer_1.get_vocab(), tokenizer_2.get_vocab()
    differing = [t for t in vocab_1 if vocab_1[t] != vocab_2.get(t)]
    differing += [t for t in vocab_2 if t not in vocab_1]
    added = {*tokenizer_1.get_added_vocab(), *tokenizer_2.get_added_vocab()}
    if ordinary := _ordinary(differing, added, (tokenizer_1, tokenizer_2)):
        raise PairError(
            f"the tokenizers differ in {len(ordinary)} of {len({*vocab_1, *vocab_2})} tokens "
            f"(first: {ordinary[0]!r})",
            why="the same ids would mean different texts",
            fix='compare models that share a tokenizer, or compare them by text: pair.by = "text"',
        )
    lost = sorted((i, t) for t, i in vocab_1.items() if i >= min(heads))
    if [t for _, t in lost if t not in added]:
        raise PairError(
            f"the smaller head has {min(heads)} rows, the tokenizer {len(vocab_1)} tokens",
            fix="load the models with their own tokenizer",
        )
    known = {*vocab_1.values(), *vocab_2.values()}
    changed = {i for t in differing for i in (vocab_1.get(t), vocab_2.get(t)) if i is not None}
    shared = {i for i in known - changed if i < min(heads)}
    _same_splits(tokenizer_1, tokenizer_2, changed)
    rows = max(shared) + 1
    notes = []
    if changed:
        notes.append(_renamed(sorted(changed), (vocab_1, vocab_2)))
    if rowless := [t for i, t in lost if i not in changed]:
        notes.append(f"special tokens without a row in the head: {', '.join(rowless[:NAMED])}")
    if max(heads) > rows:
        notes.append(
            f"heads of {heads[0]} and {heads[1]} rows: those from {rows} on are no tokens of both, "
            "and left out of every distribution"
        )
    return SharedTokens(
        rows=rows,
        left_out=tuple(i for i in range(rows) if i not in shared),
        unshared=frozenset(known - shared),
        notes=tuple(notes),
    )


def _ordinary(differing: Sequence[str], added: set[str], tokenizers: tuple[Any, Any]) -> list[str]:
    """Those of the differing tokens that texts are made of: not added to the vocabulary, and
    written by some text (the reserved ones of some vocabularies are not)."""
    found = [token for token in differing if token not in added]
    if len(found) > MOST_UNREACHABLE:
        return found
    return [token for token in found if any(_reachable(token, t) for t in tokenizers)]


def _reachable(token: str, tokenizer: Any) -> bool:
    text = tokenizer.convert_tokens_to_string([token])
    encoded = tokenizer(text, add_special_tokens=False)["input_ids"]
    return token in tokenizer.convert_ids_to_tokens(encoded)


def _renamed(changed: Sequence[int], vocabularies: Sequence[Mapping[str, int]]) -> str:
    one, two = ({i: repr(t) for t, i in vocab.items()} for vocab in vocabularies)
    named = [
        f"{i} is {one.get(i, 'nothing')} in model_1 and {two.get(i, 'nothing')} in model_2"
        for i in changed[:NAMED]
    ]
    if len(changed) > NAMED:
        named.append(f"and {len(changed) - NAMED} more")
    return (
        f"token ids that do not mean the same in both are left out of every distribution "
        f"({len(changed)}): {'; '.join(named)}"
    )


def _same_splits(tokenizer_1: Any, tokenizer_2: Any, changed: set[int]) -> None:
    """Of texts without the tokens that are known to differ."""
    for text in (*PROBES, *(text for _, text, _ in user_texts()[:100])):
        one = tokenizer_1(text, add_special_tokens=False)["input_ids"]
        two = tokenizer_2(text, add_special_tokens=False)["input_ids"]
        if one != two and changed.isdisjoint((*one, *two)):
            raise PairError(
                "the tokenizers share a vocabulary but split text differently",
                why=f"their merge rules or settings differ, e.g. for {text[:40]!r}",
                fix="load both models with one tokenizer",
            )
