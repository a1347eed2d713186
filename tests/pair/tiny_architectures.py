"""Every causal architecture of the installed transformers as a random model a few tokens wide.

The configurations come from each architecture's own defaults, made small field by field; what
makes an architecture risky (windows, ALiBi, states beside attention, experts, scaled embeddings
and logits) stays on.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

NAMES: tuple[str, ...] = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
NOT_BUILT: dict[str, str] = {
    "gemma3n": "its image tower needs the package timm; its text model is gemma3n_text",
    "gemma4_assistant": "transformers' own defaults for it contradict each other",
    "musicgen": "answers in codes of sound; AutoModelForCausalLM cannot build it",
    "musicgen_melody": "answers in codes of sound; AutoModelForCausalLM cannot build it",
}
"""Names that cannot be tried, and why."""
VARIANTS = ("bert+bidirectional", "falcon+alibi")
"""Architectures once more, with the other value of a setting that makes another model of them."""
VOCAB = 520
"""Rows of the head: eight more than ``tiny_tokenizer(512, True)`` has tokens."""

LARGEST: dict[str, int] = {
    name: size
    for size, names in {
        1: "topk_group prefix_dense_sliding_window_pattern index_local_blocks",
        2: "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers "
        "num_decoder_layers num_encoder_layers num_blocks depth num_key_value_heads kv_n_heads "
        "num_kv_heads swa_num_key_value_heads n_group num_expert_group moe_topk moe_k moe_top_k "
        "num_experts_per_tok num_experts_per_token top_k_experts mamba_n_groups n_groups "
        "mamba_ngroups n_mamba_heads num_residual_layers num_lstm_layers num_dense_layers "
        "first_k_dense_replace num_global_layers",
        4: "num_attention_heads n_head n_heads num_heads decoder_attention_heads "
        "encoder_attention_heads num_decoder_attention_heads num_encoder_attention_heads "
        "attention_heads swa_num_attention_heads linear_num_heads linear_num_key_heads "
        "linear_num_value_heads num_experts n_routed_experts num_local_experts "
        "moe_num_experts mamba_num_heads mamba_n_heads laurel_rank kv_channels rotary_dim o_groups "
        "num_filters num_query_groups",
        8: "head_dim dim_head d_head attention_head_size qk_rope_head_dim qk_nope_head_dim "
        "v_head_dim swa_head_dim linear_head_dim linear_key_head_dim linear_value_head_dim "
        "index_head_dim index_topk mamba_d_state state_size ssm_state_size d_rel d_kv "
        "gated_norm_rank hidden_size_per_layer_input adapter_rank",
        16: "q_lora_rank kv_lora_rank o_lora_rank mamba_d_head mamba_head_dim "
        "time_step_rank mamba_dt_rank attention_head_dim router_hidden_size base_channels "
        "mamba_chunk_size chunk_size num_centroids num_mel_bins",
        32: "index_n_heads hidden_size d_model n_embd emb_dim embed_dim embedding_size "
        "embedding_dim word_embed_proj_dim input_embedding_size output_embedding_size lru_width "
        "moe_intermediate_size shared_expert_intermediate_size expert_ffn_hidden_size "
        "moe_shared_expert_intermediate_size shared_intermediate_size "
        "shared_experts_intermediate_size backbone_hidden_size out_hidden_size "
        "projector_input_dim projector_output_dim hidden_size_global ple_embed_dim hc_lowrank "
        "pronunciation_embed_dim shape_embed_dim input_size codebook_dim "
        "vector_quantization_hidden_dimension image_size position_bias_num_buckets",
        64: "intermediate_size ffn_dim decoder_ffn_dim encoder_ffn_dim n_inner d_inner dff "
        "dim_ff d_ff feed_forward_size ffn_hidden_size intermediate_size_mlp vision_output_dim "
        "dense_intermediate_size attention_hidden_size mlp_dim sliding_window mamba_d_ssm "
        "sliding_window_size attention_window_size attention_chunk_size window_size "
        "codebook_size pronunciation_vocab_size shape_vocab_size "
        "block_multiple_of prefix_dense_intermediate_size",
        512: "max_position_embeddings n_positions n_ctx max_seq_len max_target_positions "
        "model_max_length context_length rel_extent ngram_vocab_size_base max_source_positions "
        "num_position_embeddings",
        513: "image_token_id image_token_index",
        514: "video_token_id audio_token_id",
        515: "boi_token_id boi_token_index vision_start_token_id boa_token_id",
        516: "eoi_token_id eoi_token_index vision_end_token_id eoa_token_id eoa_token_index",
        VOCAB: "vocab_size vocab_size_per_layer_input decoder_vocab_size audio_vocab_size "
        "encoder_hash_byte_group_vocab",
    }.items()
    for name in names.split()
}
"""The largest value of each integer field."""

INSTEAD: dict[str, Any] = {
    "is_decoder": True,
    "scale_embedding": True,
    "rescale_embeddings": True,
    "embedding_multiplier": 3.0,
    "logits_scaling": 0.5,
    "logit_scale": 2.0,
    "lm_head_multiplier": 0.5,
    "final_logit_softcapping": 8.0,
    "logits_soft_cap": 8.0,
    "output_logit_soft_cap": 8.0,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
"""Fields that are set wherever an architecture has them (with a value other than None)."""

_STATES_AND_ATTENTION = {"layer_types": ["linear_attention", "full_attention"]}
_CONVOLUTION_AND_ATTENTION = {"layer_types": ["conv", "full_attention"]}
_WINDOW_AND_ALL = {"layer_types": ["sliding_attention", "full_attention"]}
_FOUR_LAYERS = {"num_hidden_layers": 4}
_SHARED_KEYS = {**_FOUR_LAYERS, "layer_types": ["sliding_attention", "full_attention"] * 2}
_WIDE_HEADS = {"per_layer_config": {1: {"head_dim": 16}}}
_DOTS3 = {"head_dim": 16, "per_layer_config": {1: {"kv_lora_rank": 8}}}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_GEMMA3N = {
    **_SHARED_KEYS,
    "num_kv_shared_layers": 2,
    "intermediate_size": [64] * 4,
    "activation_sparsity_pattern": [0.9, 0.0, 0.9, 0.0],
}
_QWEN4 = {
    "indexer_n_heads": 32,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 8,
    "indexer_budget": 8,
    "indexer_compress_ratio": 4,
}

OVERRIDES: dict[str, dict[str, Any]] = {
    "afmoe": {"mup_enabled": True},
    "bert+bidirectional": {"is_decoder": False},
    "bamba": {"attn_layer_indices": [1]},
    "blt": {
        "use_cache": False,  # its configuration has no count of layers to make a cache for
        "vocab_size": VOCAB,
        **{
            part: {"vocab_size": VOCAB}
            for part in ("encoder_config", "decoder_config", "patcher_config")
        },
    },
    "cohere_compass_text": {
        **_WINDOW_AND_ALL,
        "logit_scale": 2.0,
        "rope_parameters": {"sliding_attention": _ROPE, "full_attention": None},
    },
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 4.0},
        "ffn_config": {
            "hidden_size": 32,
            "ffn_hidden_size": 32,
            "moe_num_experts": 4,
            "moe_top_k": 2,
        },
    },
    "deepseek_v2": {"num_experts_per_tok": 2, "first_k_dense_replace": 1},
    "dots1": {
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
    },
    "dots3_note": {
        "text_config": _DOTS3,
        "vision_config": {"adapter_in_dim": 32, "adapter_out_dim": 32},
        "audio_config": {"adapter_input_size": 32, "adapter_out_dim": 32},
    },
    "dots3_note_text": _DOTS3,
    "electra": {"embedding_size": 16},
    "falcon+alibi": {"alibi": True},
    "gemma3n": {"text_config": _GEMMA3N},
    "gemma3n_text": _GEMMA3N,
    "gemma4": {"text_config": _WIDE_HEADS},
    "gemma4_text": _WIDE_HEADS,
    "gemma4_unified": {"text_config": _WIDE_HEADS},
    "gemma4_unified_assistant": {"text_config": {**_SHARED_KEYS, "num_kv_shared_layers": 2}},
    "gemma4_unified_text": _WIDE_HEADS,
    "granitemoehybrid": {**_STATES_AND_ATTENTION, "position_embedding_type": "rope"},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8, "num_experts": 4, "moe_topk": 2},
    "inkling_text": {"logits_mup_width_multiplier": 2.0},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "laguna": _WINDOW_AND_ALL,
    "lfm2": {"full_attn_idxs": [1], **_CONVOLUTION_AND_ATTENTION},
    "lfm2_moe": {**_CONVOLUTION_AND_ATTENTION, "num_dense_layers": 1},
    "longcat_flash": {"zero_expert_num": 2},
    "mamba2": {"head_dim": 16},
    "mellum": _WINDOW_AND_ALL,
    "minicpm3": {"scale_emb": 3, "dim_model_base": 16},
    "minimax_m3_vl_text": {"layer_types": ["full_attention", "minimax_m3_sparse"]},
    "ministral": {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 2},
    "opt": {"word_embed_proj_dim": 16},
    "qwen4_exp": {"text_config": _QWEN4},
    "qwen4_exp_text": {
        **_QWEN4,
        "eos_token_id": 1,
        "ple_layer_ids": [1],
        "heads_per_ngram": 2,
        "split_ngram_parts": 1,
    },
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {
        "attn_layers": ["local", "lsh"],
        "axial_pos_shape": [8, 64],
        "axial_pos_embds_dim": [16, 16],
        "hash_seed": 0,
        "vocab_size": VOCAB,
    },
    "rembert": {"input_embedding_size": 16},
    "rwkv": {"attention_hidden_size": 32},
    "xlm": {"causal": True},
    "xlstm": {"hidden_size": 128, "embedding_dim": 128},
    "xmod": {"default_language": "en_XX"},
    "zamba": {**_FOUR_LAYERS, "layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zamba2": {**_FOUR_LAYERS, "layers_block_type": ["linear_attention", "hybrid"] * 2},
}
"""What the rules above get wrong, or leave off."""


def tiny_config(name: str) -> Any:
    """The configuration of :func:`tiny_model`."""
    kind = CONFIG_MAPPING[name.partition("+")[0]]
    fields = _small(kind().to_dict())
    for field, value in OVERRIDES.get(name, {}).items():
        fields[field] = {**(fields.get(field) or {}), **value} if isinstance(value, dict) else value
    return kind(**fields)


def tiny_model(architecture: str, seed: int = 0) -> Any:
    """A random fp32 model of one architecture, in eval mode; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(
            tiny_config(architecture), dtype=torch.float32
        ).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("A_log"):
                    parameter.normal_(-3.0, 0.2)  # states that remember for tens of tokens
                elif parameter.dim() > 1:
                    parameter.normal_(0.0, 0.2)
                else:  # norms, biases, decays: near what the architecture starts them with
                    parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def _small(fields: dict[str, Any]) -> dict[str, Any]:
    """Those of an architecture's own fields that change, with their small values."""
    small: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and value.get("model_type"):
            small[name] = {"model_type": value["model_type"], **_small(value)}
        elif name in INSTEAD and value is not None:
            small[name] = INSTEAD[name]
        elif name in LARGEST and type(value) is int and value > LARGEST[name]:
            small[name] = LARGEST[name]
    if fields.get("kv_lora_rank"):  # latent attention has no groups
        small["num_key_value_heads"] = small["num_attention_heads"]
    if count := next((name for name in COUNTS if isinstance(fields.get(name), int)), None):
        lists = {k: v for k, v in fields.items() if isinstance(v, list) and len(v) == fields[count]}
        kinds = {k: sorted(set(map(str, v)), key=list(map(str, v)).index) for k, v in lists.items()}
        lists = {k: v for k, v in lists.items() if len(kinds[k]) < len(v)}  # else: indices
        small[count] = max([LARGEST[count], *(len(kinds[k]) for k in lists)])
        for name, values in lists.items():  # one layer of each kind
            firsts = [list(map(str, values)).index(kind) for kind in kinds[name]]
            small[name] = [values[firsts[min(i, len(firsts) - 1)]] for i in range(small[count])]
        if fields.get("per_layer_config"):
            small["per_layer_config"] = None
    return small


COUNTS = [
    name for name, size in LARGEST.items() if size == 2 and name.endswith(("layers", "layer"))
]
