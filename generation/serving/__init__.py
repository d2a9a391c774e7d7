"""How to serve a language model of one's own: what fits into a GPU, and with which options."""
