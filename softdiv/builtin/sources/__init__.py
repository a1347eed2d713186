"""Built-in plugin: where user texts come from, and what filters and rewrites them."""

from softdiv import Processor, Register, hookimpl
from softdiv.builtin.sources.chat import ChatTexts
from softdiv.builtin.sources.columns import HubTexts, ParquetTexts
from softdiv.builtin.sources.csv_texts import CsvTexts
from softdiv.builtin.sources.filters import Dedupe, Length, Template
from softdiv.builtin.sources.lines import JsonlTexts, ShippedTexts, TextLines
from softdiv.builtin.sources.model_written_evals import ModelWrittenEvals


@hookimpl
def softdiv_register_processors(register: Register[Processor]) -> None:
    """Register sources, then filters."""
    register("shipped", ShippedTexts)
    register("jsonl", JsonlTexts)
    register("text", TextLines)
    register("csv", CsvTexts)
    register("parquet", ParquetTexts)
    register("hub", HubTexts)
    register("model-written-evals", ModelWrittenEvals)
    register("chat", ChatTexts)
    register("length", Length)
    register("dedupe", Dedupe)
    register("template", Template)
