"""Writes all-MiniLM-L6-v2 as an ONNX graph, from its weights, for ONNX Runtime.

Why not load the model with PyTorch: the same weights in this graph embed several times faster on
a CPU, start in a fraction of a second, and spare the default installation gigabytes of packages.
The graph is BERT's encoder (Devlin et al., 1810.04805) in the operators that ONNX Runtime is
fastest with: its fused int8 product, and one operator for the whole of attention. Residual and
normalisation stay apart, since the fused `SkipLayerNormalization` takes ten times as long on a CPU.

Two things differ from the published model:
- The last step multiplies the token states by a matrix that the caller gives, so that one forward
  pass yields the mean over the whole text and the means over any spans of it.
- `int8` quantises the weights per output channel and the activations per text. A batch is always
  one text: then a vector depends on its own text alone and not on what it was embedded beside.
  In the feed-forward the states of the first token are three to five times as large as all others:
  it goes through alone, and the others keep a finer scale, which leaves a third of the error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Precision = Literal["fp32", "int8", "uint8"]
"""Of the weights. `uint8` is slower than `int8`, and exact on CPUs whose int8 products saturate."""

_FUSED = "com.microsoft"
_OPSET = 23  # the first with an operator for attention
_FUSED_OPSET = 1
_IR_VERSION = 11  # the oldest that this opset allows, so that older runtimes read it too


def write_graph(model_dir: Path, precision: Precision, path: Path) -> None:
    """Write the graph for the weights in `model_dir` to `path`.

    Inputs: `input_ids` int64 `[1, tokens]`; `pooling` float32 `[1, rows, tokens]`.
    Output: `vectors` float32 `[1, rows, hidden]` = pooling x token states, not normalised.
    """
    import onnx
    from safetensors.numpy import load_file

    config = json.loads((model_dir / "config.json").read_text())
    weights = load_file(model_dir / "model.safetensors")
    graph = _Graph(weights, precision, config)
    states = graph.embeddings()
    for layer in range(config["num_hidden_layers"]):
        states = graph.encoder_layer(states, layer)
    graph.add("MatMul", ["pooling", states], "vectors")
    onnx.save(graph.model(config["hidden_size"]), path)


class _Graph:
    """Nodes and constants so far; every method returns the name of the value it adds."""

    def __init__(
        self,
        weights: Mapping[str, npt.NDArray[Any]],
        precision: Precision,
        config: Mapping[str, Any],
    ) -> None:
        self._weights = weights
        self._precision = precision
        self._heads = config["num_attention_heads"]
        self._epsilon = config["layer_norm_eps"]
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str | Sequence[str],
        domain: str = "",
        **attributes: Any,
    ) -> str:
        from onnx import helper

        outputs = [output] if isinstance(output, str) else list(output)
        self._nodes.append(
            helper.make_node(
                operator, inputs, outputs, name=outputs[0], domain=domain, **attributes
            )
        )
        return outputs[0]

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        """Kept once, however often it is given under one name."""
        from onnx import numpy_helper

        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def embeddings(self) -> str:
        """Word, position and (the first) type embeddings, summed and normalised."""
        prefix = "embeddings."
        places = (
            self._weights[prefix + "position_embeddings.weight"]
            + self._weights[prefix + "token_type_embeddings.weight"][0]
        )
        words = self.constant("word_table", self._weights[prefix + "word_embeddings.weight"])
        self.add("Gather", [words, "input_ids"], "words")
        self.add("Shape", ["input_ids"], "length", start=1, end=2)
        zero = self.constant("0", np.array([0]))
        self.add("Slice", [self.constant("place_table", places), zero, "length", zero], "places")
        self.add("Add", ["words", "places"], "summed")
        return self.norm("summed", prefix + "LayerNorm", "embedded")

    def encoder_layer(self, states: str, layer: int) -> str:
        """Self-attention and feed-forward, each with its residual and normalisation."""
        source, name = f"encoder.layer.{layer}.", f"layer{layer}."
        queries = [f"{source}attention.self.{part}" for part in ("query", "key", "value")]
        joined = self.linear(states, queries, name + "qkv")
        split = [name + part for part in ("q", "k", "v")]
        self.add("Split", [joined], split, axis=-1, num_outputs=3)
        heads = {"q_num_heads": self._heads, "kv_num_heads": self._heads}
        self.add("Attention", split, name + "mixed", **heads)
        projected = self.linear(
            name + "mixed", [source + "attention.output.dense"], name + "projected"
        )
        attended = self.residual_norm(states, projected, source + "attention.output", name + "mid")
        fed = [self.feed_forward(part, source) for part in self.first_and_rest(attended)]
        self.add("Concat", fed, name + "fed", axis=1)
        return self.residual_norm(attended, name + "fed", source + "output", name + "out")

    def first_and_rest(self, states: str) -> tuple[str, str]:
        """The states of the first token, and those of all others, of which there may be none."""
        zero, one = (self.constant(str(n), np.array([n])) for n in (0, 1))
        end = self.constant("end", np.array([np.iinfo(np.int64).max]))
        return (
            self.add("Slice", [states, zero, one, one], states + ".first"),
            self.add("Slice", [states, one, end, one], states + ".rest"),
        )

    def feed_forward(self, states: str, source: str) -> str:
        widened = self.linear(states, [source + "intermediate.dense"], states + ".widened")
        activated = self.add("Gelu", [widened], states + ".activated")
        return self.linear(activated, [source + "output.dense"], states + ".narrowed")

    def linear(self, states: str, modules: Sequence[str], name: str) -> str:
        """The linear modules side by side, as one product."""
        weight = np.concatenate([self._weights[m + ".weight"] for m in modules]).T
        stem = "+".join(modules)
        bias = self.constant(
            stem + ".bias", np.concatenate([self._weights[m + ".bias"] for m in modules])
        )
        if self._precision == "fp32":
            product = self.add(
                "MatMul", [states, self.constant(stem + ".weight", weight)], name + ".product"
            )
            return self.add("Add", [product, bias], name)
        quantised, scale, zero = _quantise(weight, self._precision)
        parts = {"weight": quantised, "scale": scale, "zero": zero}
        constants = [self.constant(f"{stem}.{part}", values) for part, values in parts.items()]
        return self.add("DynamicQuantizeMatMul", [states, *constants, bias], name, _FUSED)

    def residual_norm(self, states: str, change: str, module: str, name: str) -> str:
        summed = self.add("Add", [states, change], name + ".sum")
        return self.norm(summed, module + ".LayerNorm", name)

    def norm(self, states: str, module: str, name: str) -> str:
        parts = [
            self.constant(f"{name}.{part}", self._weights[f"{module}.{part}"])
            for part in ("weight", "bias")
        ]
        return self.add(
            "LayerNormalization", [states, *parts], name, axis=-1, epsilon=self._epsilon
        )

    def model(self, hidden_size: int) -> Any:
        from onnx import TensorProto, helper

        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"]),
            helper.make_tensor_value_info("pooling", TensorProto.FLOAT, [1, "rows", "tokens"]),
        ]
        output = helper.make_tensor_value_info(
            "vectors", TensorProto.FLOAT, [1, "rows", hidden_size]
        )
        graph = helper.make_graph(
            self._nodes, "minilm", inputs, [output], list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, _FUSED_OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def _quantise(
    weight: npt.NDArray[np.float32], precision: Precision
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32], npt.NDArray[Any]]:
    """Symmetric 8-bit weights per output channel (column): values, scales, zero points."""
    scale = np.maximum(np.abs(weight).max(axis=0) / 127, 1e-9).astype(np.float32)
    rounded = np.round(weight / scale).clip(-127, 127)
    channels = weight.shape[1]
    if precision == "uint8":
        return (rounded + 128).astype(np.uint8), scale, np.full(channels, 128, np.uint8)
    return rounded.astype(np.int8), scale, np.zeros(channels, np.int8)
