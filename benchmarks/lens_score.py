"""The simplest detector that reads weights: how far the most suspect word stands out."""

from __future__ import annotations

from softdiv.builtin.weight_lens import WeightLens
from softdiv.config.load import ExperimentConfig
from softdiv.pair.layout import Layout
from softdiv.plugin.manager import PluginManager
from softdiv.search.candidate_words import around, standing, suspectable
from softdiv.search.task import SearchTask
from softdiv.stages.load import load_pair


class TopScore(WeightLens):
    """The lens's own figure of its first word; nothing is generated."""

    def of(self, task: SearchTask) -> float:
        """Logarithm of value over median; 0 where the lens sees no change."""
        before, _ = around(task)
        readers = self._readers(task, before)
        if not readers:
            return 0.0
        words = suspectable(task, self.vocabulary, 10**9)
        moved = self._moved(task, before, list(words.values()), readers)
        return float(standing(words, moved, self.matrices).max())


def lens_score(config: ExperimentConfig) -> float:
    """Of a config's pair."""
    pair = load_pair(config, PluginManager.load().registry)
    layout = Layout(pair.tokenizer)
    task = SearchTask(
        pair=pair, layout=layout, train=[], config=config.generation, soft_prompt=None, seed=0
    )
    return TopScore().of(task)
