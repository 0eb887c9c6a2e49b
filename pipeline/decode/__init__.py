"""From a file to pixels and the network input, in a pool of decoder processes."""
