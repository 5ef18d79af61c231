"""The network, one file per stage of the paper, in the order a frame meets them."""
