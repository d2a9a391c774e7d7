"""Makes a small random Llama with its tokenizer, for the real vLLM server to serve.

    .venv-vllm/bin/python tests/vllm/made_model.py FOLDER

What it writes means nothing, and it all but never stops before it has to. The tokenizer knows every
byte, so that any text can be asked.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 5
LONGEST = 65_536
VOCABULARY = 1024
START, END = "<|start|>", "<|end|>"
CHAT = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
WORDS = """
the of and to in a is that for it was on are as with they be at one have this from or had by but
what some we can out other were all there when up use your how said an each which do their if will
way about many then them would write like so these her long make thing see him two has look more day
could go come did number sound no most people my over know water than call first who may down side
been now find any new work part take get place made live where after back little only round man year
came show every good me give our under name very through just form sentence great think say help low
line differ turn cause much mean before move right boy old too same tell does set three want air
well question answer context document source passage quote model token price budget server error
""".split()


def sentences() -> Iterator[str]:
    """Made sentences of common words, the same at every call."""
    chosen = random.Random(SEED)
    for _ in range(5_000):
        yield " ".join(chosen.choices(WORDS, k=chosen.randint(4, 12))).capitalize() + "."


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with a chat template."""
    bytes_and_pairs = ByteLevelBPETokenizer()
    bytes_and_pairs.train_from_iterator(
        sentences(), VOCABULARY, special_tokens=[START, END], show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bytes_and_pairs._tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        chat_template=CHAT,
        model_max_length=LONGEST,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Random weights, the same at every call."""
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=LONGEST,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            tie_word_embeddings=False,
        )
    )
    with torch.no_grad():  # spread the choices, and make its end an unlikely one
        model.lm_head.weight.mul_(20)
        model.lm_head.weight[tokenizer.eos_token_id] = 0
    return model.to(torch.bfloat16)


def main(folder: Path) -> None:
    """Save both where the server finds them."""
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    make_model(tokenizer).save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
