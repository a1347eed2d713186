from __future__ import annotations
import tomllib, pathlib
import attrs, cattrs
@attrs.frozen
class Templates:
    templates: tuple[str,...]
    slots: dict[str, tuple[str,...]] = attrs.field(factory=dict)
    def __add__(self, o):
        clash = set(self.slots) & set(o.slots); assert not clash, clash
        return Templates(self.templates+o.templates, {**self.slots, **o.slots})
def load(folder):
    d = tomllib.loads((pathlib.Path(folder)/"recipe.toml").read_text())
    d["ordinary"] = tomllib.loads((pathlib.Path(folder).parent/"ordinary_texts.toml").read_text())
    return d
