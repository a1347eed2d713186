"""Built-in plugin: model loaders ``hf`` and ``tiny``."""

from softdiv import ModelLoader, Register, hookimpl
from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader


@hookimpl
def softdiv_register_models(register: Register[ModelLoader]) -> None:
    """Register both loaders."""
    register("hf", HfLoader)
    register("tiny", TinyLoader)
