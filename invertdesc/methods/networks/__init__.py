"""Networks, each a plain `nn.Module` with a frozen config."""
