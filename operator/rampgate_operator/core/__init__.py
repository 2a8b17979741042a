"""The pure core: values in, values out. Nothing here reads a clock, a network, a file or an environment variable."""
