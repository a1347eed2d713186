from __future__ import annotations
import torch, json, pathlib
def new_adapter(model, *, rank, alpha, target_modules):
    from peft import LoraConfig, get_peft_model
    return get_peft_model(model, LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(target_modules), task_type="CAUSAL_LM"))
