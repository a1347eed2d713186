"""The files that the documentation site is built from, copied under ``build/pages``.

    python scripts/pages.py

Every page stays where it stands in the repository, so that its links hold there and on the site.
Writes ``llms.txt`` too: every page with its first sentence, for language models (llmstxt.org).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

HOME = Path(__file__).parents[1]
PAGES = HOME / "build" / "pages"
SHOWN = ("*.md", "docs/**/*", "benchmarks/results/*.json", "organisms/*.md", "plugins/*/*.md")
BESIDE = ("configs/*", "registry.toml", "examples/*.*", "LICENSE")


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    for pattern in (*SHOWN, *BESIDE):
        for path in filter(Path.is_file, HOME.glob(pattern)):
            copy = PAGES / path.relative_to(HOME)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    (PAGES / "llms.txt").write_text(_for_models(), "utf-8")


def _for_models() -> str:
    site = yaml.safe_load((HOME / "mkdocs.yml").read_text("utf-8"))
    lines = [f"# {site['site_name']}", "", f"> {site['site_description']}"]
    for entry in site["nav"]:
        for section, pages in entry.items() if isinstance(entry, dict) else [("More", entry)]:
            lines += ["", f"## {section}", ""]
            for page in [pages] if isinstance(pages, str) else pages:
                name = next(iter(page.values())) if isinstance(page, dict) else page
                title, sentence = _opening((HOME / name).read_text("utf-8"))
                lines.append(f"- [{title}]({name}): {sentence}")
    return "\n".join(lines) + "\n"


def _opening(page: str) -> tuple[str, str]:
    """A page's title, and the first sentence below it."""
    title = re.search(r"^# (.+)$", page, flags=re.M)
    blocks = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S).split("\n\n")
    prose = next((b for b in map(str.strip, blocks) if re.match(r"[`*]*\w", b)), "")
    sentence = re.split(r"(?<=[.?])\s", " ".join(prose.split()))[0]
    return (title[1] if title else ""), sentence


if __name__ == "__main__":
    main()
