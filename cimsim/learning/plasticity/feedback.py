"""Feedback alignment: errors go back through fixed random weights instead of the transposed ones."""

from __future__ import annotations

from functools import partial

import numpy as np

from cimsim.backend import to_host, to_library_of
from cimsim.network.layers import Product
from cimsim.network.network import Network
from device_models.parameters import Parameters
from device_models.streams import Streams
from device_models.window import Array


class FeedbackAlignment(Parameters):
    """The way back of errors through fixed random weights, normal with the standard deviation of the layer's own.

    The weights on the way forward turn towards them, so that errors still say something: no transposed read, no copy of
    the weights. Lillicrap, Cownden, Tweed and Akerman, Nat. Commun. 7, 13276 (2016).
    """

    def products(self, network: Network, streams: Streams) -> list[Product]:
        """`d @ B` in place of `d @ weight.T` for every weighted layer: what `backpropagate` takes as `transposed`."""
        return [partial(_through, feedback=b) for b in self.weights(network, streams)]

    def weights(self, network: Network, streams: Streams) -> list[Array]:
        """The fixed weights of every weighted layer, `(n_out, n_in)` float32, beside the network's."""
        return [_drawn(layer.weight, streams.at("layer", k)) for k, layer in enumerate(network.weighted)]


def _drawn(weight: Array, streams: Streams) -> Array:
    n_in, n_out = weight.shape
    b = streams.rng("feedback").standard_normal((n_out, n_in), dtype=np.float32)
    return to_library_of(b * np.float32(to_host(np.std(weight))), weight)


def _through(d: Array, feedback: Array) -> Array:
    return d @ feedback
