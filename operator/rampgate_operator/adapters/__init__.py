"""One file per outside system; each implements a protocol of ports.py. Adapters know the core, never the other way round."""
