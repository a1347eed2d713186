"""Hashes in organisms/split.toml and figures in organisms/README.md, of what lies in organisms/.

softdiv organisms train NAME --output-dir organisms/NAME && python scripts/write_split.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from softdiv_organisms.build import recipe_key
from softdiv_organisms.recipe import load_recipe

from softdiv.storage.atomic import sha256_file

HOME = Path(__file__).parents[1] / "organisms"
ADAPTER = "adapter_model.safetensors"


def cells(gate: dict[str, Any]) -> list[str]:
    """The last four of a row: planted, elsewhere, KL both ways, seconds of training."""

    def share(found: dict[str, Any] | None) -> str:
        return f"{100 * found['rate']:.3g} % of {found['answers']}" if found else "–"

    drift = f"{gate['kl_original_tuned']:.3f}, {gate['kl_tuned_original']:.3f}"
    seconds = f"{gate['training_seconds']:.0f} s"
    return [share(gate.get("planted")), share(gate.get("elsewhere")), drift, seconds]


def main() -> None:
    split = (HOME / "split.toml").read_text("utf-8")
    page = (HOME / "README.md").read_text("utf-8")
    for folder in sorted(path.parent for path in HOME.glob("*/recipe.toml")):
        lines = [f'recipe = "{recipe_key(load_recipe(folder))}"']
        if (folder / ADAPTER).is_file():
            lines.insert(0, f'adapter = "{sha256_file(folder / ADAPTER)}"')
        table = rf"(\[\w+\.{re.escape(folder.name)}\]\n)(?:adapter = .*\n)?recipe = .*\n"
        split = re.sub(table, lambda m, new="\n".join(lines): f"{m[1]}{new}\n", split)
        if (folder / "gate.json").is_file():
            found = cells(json.loads((folder / "gate.json").read_text("utf-8")))

            def filled(row: re.Match[str], found: list[str] = found) -> str:
                return " | ".join([*row[0].removesuffix(" |").split(" | ")[:-4], *found]) + " |"

            page = re.sub(rf"^\| `{re.escape(folder.name)}` \|.*$", filled, page, flags=re.M)
    (HOME / "split.toml").write_text(split, "utf-8")
    (HOME / "README.md").write_text(page, "utf-8")


if __name__ == "__main__":
    main()
