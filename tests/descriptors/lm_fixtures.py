"""A real server on loopback that misbehaves as told, and a real chat model made on the spot."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descriptors.generation import ChatMessage, ChatRequest, SamplingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "descriptors": {
            "type": "array",
            "items": {"type": "string", "maxLength": 12},
            "minItems": 1,
            "maxItems": 2,
        }
    },
    "required": ["descriptors"],
    "additionalProperties": False,
}
MODEL = "small-chat"


@dataclass(frozen=True)
class Reply:
    """What the server sends: a status, headers and a body, which may be cut short."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    sent_share: float = 1.0
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    body: dict[str, Any]
    key: str

    @property
    def text(self) -> str:
        """The last message."""
        content: str = self.body["messages"][-1]["content"]
        return content


Behaviour = Callable[[Asked], Reply]


@dataclass
class ChatServer:
    """What a server was asked, and the most requests it ever had at a time."""

    base_url: str
    asked: list[Asked] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def completion(
    text: str | None = '{"descriptors": ["late delivery"]}',
    finish: str | None = "stop",
    refusal: str | None = None,
    usage: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of a chat completion."""
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
            }
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 7} if usage is None else usage,
    }


def failure(status: int, message: str = "no", **more: Any) -> Reply:
    """An error in the form OpenAI gives it; the client repeats it at once if at all."""
    headers = (("Content-Type", "application/json"), ("retry-after-ms", "1"))
    return Reply(status, {"error": {"message": message, **more}}, headers)


@contextmanager
def chat_server(behaviour: Behaviour | None = None) -> Iterator[ChatServer]:
    """A server at a port of its own that answers every chat by `behaviour`."""
    answer = behaviour or (lambda asked: Reply(body=completion()))
    listening = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server = ChatServer(f"http://127.0.0.1:{listening.server_address[1]}/v1")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path != "/v1/models":
                self._send(failure(404))
                return
            self._send(Reply(body={"object": "list", "data": [{"id": MODEL, "object": "model"}]}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = Asked(self.path, body, self.headers.get("Authorization", ""))
            with server.lock:
                server.asked.append(asked)
                server.running += 1
                server.most_running = max(server.most_running, server.running)
            reply = answer(asked)
            time.sleep(reply.delay_seconds)
            with server.lock:
                server.running -= 1
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            content = reply.body if isinstance(reply.body, bytes) else _json(reply.body)
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: int(len(content) * reply.sent_share)])
            # A body shorter than announced can only be noticed when the connection ends.
            self.close_connection = self.close_connection or reply.sent_share < 1

        def log_message(self, *arguments: Any) -> None:
            """Keep quiet."""

    listening.RequestHandlerClass = Handler
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def chat_request(text: str = "name these", **sampling: Any) -> ChatRequest:
    """A request to describe `text`."""
    return ChatRequest(
        messages=(
            ChatMessage(role="system", content="Answer in JSON."),
            ChatMessage(role="user", content=text),
        ),
        json_schema=SCHEMA,
        sampling=SamplingSettings(**sampling),
    )


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()


CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXTS = (
    '{"descriptors": ["late delivery", "broken screen"]}',
    "Answer in JSON. name these sentences: the parcel came late, the screen was broken",
)


def save_chat_model(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Save a random Llama of two layers with a byte-level tokenizer; `changes` to its config."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = chat_tokenizer()
    options = {
        "vocab_size": len(tokenizer) + 5,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "initializer_range": 0.5,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(LlamaConfig(**{**options, **changes}))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def chat_tokenizer() -> PreTrainedTokenizerFast:
    """A small tokenizer that knows every byte, some words, and a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<pad>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<pad>",
        chat_template=CHAT_TEMPLATE,
    )
