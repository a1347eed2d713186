"""Built-in plugin: searchers."""

from __future__ import annotations

from softdiv import Register, Searcher, hookimpl
from softdiv.builtin.answer_words import Amplified, SoftAnswers
from softdiv.builtin.beam import Beam
from softdiv.builtin.cache_lens import CacheLens
from softdiv.builtin.contrastive import Contrastive
from softdiv.builtin.ensemble import Ensemble
from softdiv.builtin.epo import Epo
from softdiv.builtin.forms import Forms
from softdiv.builtin.gcg import Gcg
from softdiv.builtin.gradient_swaps import GradientSwaps
from softdiv.builtin.ppl_gap import PplGap
from softdiv.builtin.soft_targets import SoftTargets
from softdiv.builtin.verbalise import Verbalise
from softdiv.builtin.weight_lens import WeightLens


@hookimpl
def softdiv_register_searchers(register: Register[Searcher]) -> None:
    """Register the searchers."""
    register("ensemble", Ensemble)
    register("amplified", Amplified)
    register("soft_answers", SoftAnswers)
    register("gradient_swaps", GradientSwaps)
    register("weight_lens", WeightLens)
    register("cache_lens", CacheLens)
    register("soft_targets", SoftTargets)
    register("verbalise", Verbalise)
    register("forms", Forms)
    register("ppl_gap", PplGap)
    register("contrastive", Contrastive)
    register("gcg", Gcg)
    register("epo", Epo)
    register("beam", Beam)
