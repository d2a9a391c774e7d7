"""The real vLLM server on CPU, in an environment of its own, with the small made model.

`make .venv-vllm/.installed` makes that environment. Nothing is fetched: the server listens on the
loopback address and serves what tests/vllm/made_model.py makes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from tokenizers import Tokenizer

from rag.calls import Prompt

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
MAKER = ROOT / "tests" / "vllm" / "made_model.py"
MODEL = "made"
BLOCK_TOKENS = 32  # the least that its attention on CPU takes; prefixes are cached in such blocks
LONGEST_TOKENS = 65_536
LONG_OUTPUT_TOKENS = 60_000
"""An answer that takes the server a minute or more: nothing that is done meanwhile outlasts it."""
START_TIMEOUT_S = 240
_MADE_IN_S = 120


def missing() -> str | None:
    """Why the server cannot be started here; None where it can."""
    if (PYTHON.parent.parent / ".installed").exists():
        return None
    return f"no vLLM in {PYTHON.parent.parent}: run make .venv-vllm/.installed"


def made_model(folder: Path) -> Path:
    """The folder of the small model in `folder`, where it is made unless it is there."""
    model = folder / "model"
    if not model.exists():
        made = subprocess.run(
            [str(PYTHON), str(MAKER), str(model)],
            env=environment(),
            capture_output=True,
            timeout=_MADE_IN_S,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(made.stderr.decode(errors="replace"))
    return model


class VllmServer:
    """One server process with its children, on one port; it can be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Makes the model and writes its log in `folder`; `options` are more for the server."""
        self.model_folder = made_model(folder)
        self.log = folder / "vllm.log"
        self.port = _free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the OpenAI protocol is spoken."""
        return f"http://127.0.0.1:{self.port}/v1"

    def token_ids(self, prompt: Prompt) -> list[int]:
        """What the model reads of a prompt: the tokenizer's own count, not the server's."""
        text = (
            f"<|start|>system\n{prompt.system}<|end|>\n"
            f"<|start|>user\n{prompt.user}<|end|>\n<|start|>assistant\n"
        )
        tokenizer = Tokenizer.from_file(str(self.model_folder / "tokenizer.json"))
        return list(tokenizer.encode(text).ids)

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [
            *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(self.model_folder), "--served-model-name", MODEL),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--max-model-len", str(LONGEST_TOKENS), "--block-size", str(BLOCK_TOKENS)),
            *("--enable-prefix-caching", "--enable-prompt-tokens-details", "--enforce-eager"),
            *self._options,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environment(),
                cwd=self.model_folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that it can be ended with its children
            )
        self._wait_until_ready(self._process)

    def kill(self) -> None:
        """End all its processes at once, as `kill -9` does, and those that outlived it."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)

    def version(self) -> str:
        """Of vLLM, as the server tells it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/version", timeout=10) as told:
            return str(json.load(told)["version"])

    def metric(self, name: str) -> float:
        """The sum of what the server tells under `name`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as told:
            lines = told.read().decode()
        found = re.findall(rf"^{re.escape(name)}(?:\{{.*\}})? (\S+)$", lines, re.MULTILINE)
        if not found:
            raise RuntimeError(f"the server tells no {name}")
        return sum(map(float, found))

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        self.kill()
        told = self.log.read_text(errors="replace")[-4_000:]
        raise RuntimeError(f"vLLM was not ready within {START_TIMEOUT_S} s:\n{told}")


def environment() -> dict[str, str]:
    """Ours, with no network and a small cache."""
    return os.environ | {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
