"""The float network: layers, forward and gradients over any matrix products, and how well it classifies."""
