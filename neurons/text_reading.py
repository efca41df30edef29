"""One text read once: the values that a store would hold of it, and what each token does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import FloatArray
from neurons.batching import TokenizedText, padded, tokenize
from neurons.capture import captured
from neurons.reading import LongTexts, longest_input, read, tokenized
from neurons.records import LayerSite, NeuronId
from neurons.tokens import TokenActivations, surface

if TYPE_CHECKING:
    from torch import Tensor

    from neurons.pieces import TokenizedPieces
    from neurons.reading import ExtractionSettings
    from neurons.subject import SubjectModel


@dataclass(frozen=True, eq=False)
class TextReading:
    """What a text does to the layer sites that were read.

    Attributes:
        text: as it was given.
        pooled: the values of `neurons.reading.read`, rounded to float16 like those of a store
            (`n_units` of each layer site).
    """

    text: str
    pooled: Mapping[LayerSite, FloatArray]
    _shown: TokenizedText
    _layers: Mapping[LayerSite, Tensor]

    def token_activations(self, neurons: Sequence[NeuronId]) -> TokenActivations:
        """What `neurons.tokens.token_activations` gives for neurons of these layer sites."""
        places: dict[LayerSite, list[int]] = {}
        for place, neuron in enumerate(neurons):
            places.setdefault(neuron.layer_site, []).append(place)
        content = self._shown.content_mask
        values = np.empty((int(content.sum()), len(neurons)), dtype=np.float32)
        for layer_site, own in places.items():
            units = [neurons[place].unit for place in own]
            chosen = self._layers[layer_site][0][:, units].float().cpu().numpy()
            values[:, own] = chosen[content]
        return TokenActivations(
            text=self.text,
            tokens=surface(self.text, self._shown),
            neurons=tuple(neurons),
            activations=values,
            truncated_tokens=self._shown.truncated_tokens,
        )


def read_text(
    subject: SubjectModel,
    text: str,
    layer_sites: Sequence[LayerSite],
    settings: ExtractionSettings,
) -> TextReading:
    """Read a text in one forward pass.

    A text that `settings` shorten or cut into windows is read a second time for its tokens, which
    are shown as far as the model reads them at once. The activations of all its tokens are kept as
    long as the answer, and no hook is left in the model. Threads that share a model must take
    turns: what one of them captures would also see the passes of the others.

    Raises:
        InputError: the text is not valid Unicode, or the model lacks a layer site.
        BackendError: the model computes what is no finite number, or runs out of memory.
    """
    import torch

    texts = tokenized(subject, [text], settings)
    if _is_whole(subject, texts, settings):
        [shown] = texts.pieces
        # Hooks around the hooks of `read`: they see the tokens that it pools.
        with captured(subject.architecture, layer_sites) as layers:
            reading = read([subject], texts, layer_sites, settings)
    else:
        reading = read([subject], texts, layer_sites, settings)
        [shown] = tokenize(subject, [text], subject.maximum_tokens)
        with torch.inference_mode(), captured(subject.architecture, layer_sites) as layers:
            subject.model(**padded(subject, [shown]).inputs)
    units = [subject.architecture.units(each.site) for each in layer_sites]
    values = np.split(reading.activations[0].astype(np.float32), np.cumsum(units)[:-1])
    return TextReading(text, dict(zip(layer_sites, values, strict=True)), shown, layers)


def _is_whole(subject: SubjectModel, texts: TokenizedPieces, settings: ExtractionSettings) -> bool:
    """Whether a text is read in one piece that shows as many tokens as the model can read."""
    longest = longest_input(subject, settings)
    if len(texts.pieces) > 1:
        return False
    # A shorter piece than is allowed was not cut; one as long may have been.
    is_cut = settings.long_texts is LongTexts.TRUNCATE and texts.pieces[0].n_tokens >= longest
    return longest == subject.maximum_tokens or not is_cut
