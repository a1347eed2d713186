"""Intervals over user texts, paired tests, and the correction for testing several prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from softdiv.plugin.records import Interval

CONFIDENCE = 0.95
PERMUTATIONS = 9999


def interval(values: Sequence[float], *, resamples: int, seed: int) -> Interval:
    """Mean over user texts with a 95 % bootstrap interval (BCa, Efron 1987).

    Where BCa is undefined (all values equal, or a single text), the interval is the mean itself
    or, for a degenerate acceleration, the percentile interval.
    """
    data = np.asarray(values, dtype=float)
    mean = float(data.mean())
    if len(data) < 2 or float(np.ptp(data)) == 0.0:
        return Interval(value=mean, low=mean, high=mean)
    with np.errstate(all="ignore"):
        for method in ("BCa", "percentile"):
            result = stats.bootstrap(
                (data,),
                np.mean,
                n_resamples=resamples,
                confidence_level=CONFIDENCE,
                method=method,
                rng=np.random.default_rng(seed),
            )
            low, high = map(float, result.confidence_interval)
            if np.isfinite(low) and np.isfinite(high):
                break
    return Interval(value=mean, low=low, high=high)


def paired_p_value(ours: Sequence[float], theirs: Sequence[float], *, seed: int) -> float:
    """One-sided sign-flip permutation test that ``ours`` exceeds ``theirs``, paired by user text.

    Exact over all sign patterns for up to 13 texts, else :data:`PERMUTATIONS` random ones with
    the observed one counted, so the p-value is never 0.
    """
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    if len(differences) < 2:
        return 1.0  # one text shows nothing
    found = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=PERMUTATIONS,
        alternative="greater",
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (false discovery rate), in the order given."""
    if not p_values:
        return []
    return [float(p) for p in stats.false_discovery_control(np.asarray(p_values), method="bh")]
