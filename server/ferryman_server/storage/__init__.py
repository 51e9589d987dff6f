"""Where uploaded bytes live: the contract (`base`) and the stores that keep it."""
