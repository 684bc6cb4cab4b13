"""Facts rewritten by a language model, and the gate that keeps what states every one of them."""
