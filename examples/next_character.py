"""A network that learns to write: it reads a text character by character and guesses each next one.

Run it: `python examples/next_character.py` (about two minutes; `--characters 20000 --epochs 1` for a quick look).
Without `--text` it reads the reference of the Python language, as it comes with Python (`pydoc_data`, PSF licence). The
last tenth of the text is kept to judge by.

The network is an LSTM of 128 units between an embedding and a softmax. It is trained by Adam at a rate of 0.004 along
half a cosine, its gradient clipped at 1, on 32 streams that are read side by side, in stretches of 64 characters: the
state is carried from stretch to stretch, the gradient is not (truncated backpropagation through time). The run folder
gets a page on which the network writes on, with its state laid open.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from elman import look_inside
from elman.data.batching import streams
from elman.models.checkpoint import save_model
from elman.models.language import LanguageModel
from elman.models.summary import summary
from elman.report import write_report
from elman.training.diagnostics import Probe
from elman.training.loop import train
from elman.training.losses import cross_entropy
from elman.training.record import Run
from elman.training.schedules import cosine

STREAMS, STRETCH = 32, 64
CHARACTERS, EPOCHS = 300_000, 20
SEEN, LOOK = 12, 100  # sequences whose states the page shows, and their length

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--text", type=Path, help="a text in UTF-8")
parser.add_argument("--characters", type=int, default=CHARACTERS, help="of it, the first so many")
parser.add_argument("--architecture", default="lstm")
parser.add_argument("--hidden-size", type=int, default=128)
parser.add_argument("--layers", type=int, default=1)
parser.add_argument("--epochs", type=int, default=EPOCHS)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--run", type=Path, default=Path("runs/next_character"), help="folder for record, model and page")
options = parser.parse_args()


def read() -> str:
    if options.text:
        return options.text.read_text(encoding="utf-8")
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def loss(model: nn.Module, batch: tuple[Tensor, Tensor], state: object) -> tuple[Tensor, object]:
    logits, state = model(batch[0], state)
    return cross_entropy(logits, batch[1]), state


def validate(model: nn.Module) -> float:
    """Nats a character over the whole of the last tenth, read in one go."""
    logits, _ = model(validation[None, :-1])
    return cross_entropy(logits, validation[None, 1:]).item()


def write(model: LanguageModel, prompt: str, characters: int, temperature: float = 0.7) -> str:
    """`prompt`, and so many characters drawn one by one: each costs one step, as the state is kept."""
    written, generator = prompt, torch.Generator().manual_seed(options.seed)
    with torch.no_grad():
        logits, state = model(torch.tensor([[number[c] for c in prompt]]))
        for _ in range(characters):
            drawn = torch.multinomial((logits[0, -1] / temperature).softmax(-1), 1, generator=generator)
            written += vocabulary[int(drawn)]
            logits, state = model(drawn[None], state)
    return written


text = read()[: options.characters]
vocabulary = sorted(set(text))
number = {character: k for k, character in enumerate(vocabulary)}
tokens = torch.tensor([number[character] for character in text])
training, validation = tokens[: -len(tokens) // 10], tokens[-len(tokens) // 10 :]
# Of what it was not trained on, from a paragraph's begin, for the page to begin with.
unseen = text[len(training) :]
sample = unseen[unseen.find("\n\n", 0, len(unseen) // 2) + 1 :].lstrip()[:600]

torch.manual_seed(options.seed)
model = LanguageModel(
    len(vocabulary), options.architecture, hidden_size=options.hidden_size, num_layers=options.layers,
    embedding_size=options.hidden_size,
)  # fmt: skip
stretches = len(list(streams(training, STREAMS, STRETCH)))
run = Run(options.run, label=options.architecture.upper(), command="python examples/next_character.py")
run.start(
    {
        "task": "language",
        "settings": {
            **model.settings(), "seed": options.seed, "epochs": options.epochs, "clip": 1.0, "learning_rate": 4e-3,
            "streams": STREAMS, "stretch": STRETCH,
        },
        "data": {
            "path": str(options.text or "pydoc_data.topics"), "characters": len(text),
            "license": "not known" if options.text else "PSF-2.0",
        },
    },
    force=True,
)  # fmt: skip
shares = training.bincount(minlength=len(vocabulary)).double() / len(training)
run.record("fact", constant=-(shares * shares.clamp(min=1e-12).log()).sum().item())  # who knows how common each is
run.record("model", **summary(model))
looked_at = training[: 8 * STRETCH].view(8, STRETCH)
probe = Probe(
    lambda model: cross_entropy(model(looked_at[:, :-1])[0][:, -1:], looked_at[:, -1:]), every=25,
    samples=lambda model: {"prompt": np.array([sample[:40]]), "text": np.array([write(model, sample[:40], 200)[40:]])},
)  # fmt: skip
done = train(
    model, lambda epoch: streams(training, STREAMS, STRETCH), loss,
    optimizer=torch.optim.Adam(model.parameters(), 4e-3), epochs=options.epochs, validate=validate,
    schedule=cosine(options.epochs * stretches), clip=1.0, carry=True, probe=probe, run=run,
)  # fmt: skip
bits = done.best / math.log(2)
save_model(
    run.model_path, model,
    {"task": "language", "settings": model.settings(), "vocabulary": vocabulary, "sample": sample, "bits": bits},
)  # fmt: skip
seen = validation.unfold(0, LOOK + 1, LOOK + 1)[:SEEN]  # sequences that it did not learn from
look_inside(
    model, lambda x: model.run(x)[0], model.embed(seen[:, :-1]).detach(), kind="classes", outputs=vocabulary,
    words=[[vocabulary[k] for k in row] for row in seen[:, :-1].tolist()], truth=seen[:, 1:],
    labels=[f"held-out text, character {k * (LOOK + 1)}" for k in range(len(seen))],
).save(run.path)  # fmt: skip
print(f"{bits:.3f} bits a character, of {math.log2(len(vocabulary)):.3f} if all were as likely\n")
print(write(model, sample[:60], 400))
print(f"\nThe page: {write_report([run.path], run.path / 'report.html')}")

assert 0 < bits < 2 * math.log2(len(vocabulary))
if options.epochs >= EPOCHS and not options.text:  # the headline figure
    assert bits < 1.9
