"""Makes the files beside it with transformers, for each kind of rotary scaling: the frequencies of published sizes, and a
tiny Llama's logits and greedy tokens within and far beyond the original positions (in float64, but for the angles, which
are float32). Run it anywhere: python3 make.py"""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

HERE = Path(__file__).parent
ORIGINAL, LONGEST = 64, 512  # positions, before stretching and after
LONG, SHORT = 300, 48  # tokens, beyond the original positions and within
SEED = 16
PROMPT, NEW = 56, 24  # greedy generation crosses the original positions

factors = [1.0, 1.1, 1.3, 1.7, 2.5, 4.0, 6.0, 9.0]
CASES = {
    "plain": (LONGEST, None),
    "linear": (LONGEST, {"rope_type": "linear", "factor": 8.0}),
    "llama3": (LONGEST, {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": ORIGINAL}),
    "yarn": (LONGEST, {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": ORIGINAL}),
    "yarn_betas": (LONGEST, {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": ORIGINAL,
                             "beta_fast": 8.0, "beta_slow": 0.5, "attention_factor": 1.4}),
    "dynamic": (ORIGINAL, {"rope_type": "dynamic", "factor": 8.0}),
    "longrope": (LONGEST, {"rope_type": "longrope", "short_factor": [1.0 + 0.01 * i for i in range(8)],
                           "long_factor": factors, "original_max_position_embeddings": ORIGINAL}),
}


# head dimension, positions, theta, scaling, lengths of the sequence
FREQUENCIES = [
    (16, 512, 1e4, {"rope_type": "linear", "factor": 4.0}, [64]),
    (64, 131072, 5e5, {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                       "original_max_position_embeddings": 8192}, [64]),
    (16, 2048, 1e4, {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 64}, [64]),
    (128, 131072, 1e6, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, [64]),
    (32, 4096, 1e4, {"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 256, "beta_fast": 16.0,
                     "beta_slow": 2.0}, [64]),
    (64, 2048, 1e4, {"rope_type": "dynamic", "factor": 2.5}, [64, 2048, 2049, 3000, 5120]),
    (16, 4096, 1e4, {"rope_type": "longrope", "short_factor": [1.0 + 0.01 * i for i in range(8)], "long_factor": factors,
                     "original_max_position_embeddings": 128}, [64, 128, 129, 4096]),
    (16, 4096, 1e4, {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": factors, "factor": 16.0,
                     "attention_factor": 1.25, "original_max_position_embeddings": 128}, [4096]),
]


def config(positions, scaling):
    parameters = dict(scaling or {"rope_type": "default"}, rope_theta=10000.0)
    return LlamaConfig(vocab_size=24, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                       num_key_value_heads=1, head_dim=16, max_position_embeddings=positions, rms_norm_eps=1e-5,
                       bos_token_id=None, eos_token_id=None, rope_parameters=parameters)


def weights():
    generator = torch.Generator().manual_seed(SEED)
    model = LlamaForCausalLM(config(*CASES["plain"]))
    state = {}
    for name, p in model.state_dict().items():
        x = torch.randn(p.shape, generator=generator)
        state[name] = (1 + 0.1 * x if "norm" in name else 0.4 * x).contiguous()
    return state


def frequencies():
    for head_dim, positions, theta, scaling, lengths in FREQUENCIES:
        c = LlamaConfig(hidden_size=head_dim, num_attention_heads=1, head_dim=head_dim, max_position_embeddings=positions,
                        rope_parameters=dict(scaling, rope_theta=theta))
        for length in lengths:
            f, amplitude = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](c, torch.device("cpu"), seq_len=length)
            yield {"head_dim": head_dim, "max_position_embeddings": positions, "rope_theta": theta, "rope_scaling": scaling,
                   "length": length, "amplitude": amplitude, "frequencies": f.tolist()}


def main():
    state = weights()
    ids = torch.randint(0, 24, (1, LONG), generator=torch.Generator().manual_seed(6))
    rows = torch.arange(9, LONG, 10)
    tensors = {"ids": ids[0].int(), "rows": rows.int()}
    models = []
    for name, (positions, scaling) in CASES.items():
        c = config(positions, scaling)
        model = LlamaForCausalLM(c)
        model.load_state_dict(state)
        model = model.double().eval()
        with torch.no_grad():
            tensors[f"{name}.long"] = model(ids).logits[0, rows].float().contiguous()
            tensors[f"{name}.short"] = model(ids[:, :SHORT]).logits[0].float().contiguous()
            out = ids[:, :PROMPT]
            cache, margin = None, 1e9
            for n in range(NEW):
                step = model(out if cache is None else out[:, -1:], past_key_values=cache, use_cache=True)
                cache, top = step.past_key_values, step.logits[0, -1].topk(2).values
                margin = min(margin, float((top[0] - top[1]) / step.logits[0, -1].abs().max()))
                out = torch.cat([out, step.logits[:, -1:].argmax(-1)], 1)
        tensors[f"{name}.greedy"] = out[0].int()
        print(f"{name:12} smallest margin of greedy {margin:.4f}")
        written = json.loads(c.to_json_string())
        models.append({"name": name, "config": dict(written, architectures=["LlamaForCausalLM"])})
    save_file(state, HERE / "model.safetensors")
    save_file(tensors, HERE / "expected.safetensors")
    text = {"source": f"make.py, transformers {transformers.__version__}", "prompt": PROMPT, "models": models,
            "frequencies": list(frequencies())}
    (HERE / "cases.json").write_text(json.dumps(text) + "\n")


main()
