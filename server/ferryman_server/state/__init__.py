"""What is true about each upload, committed in transactions: the contract and its backends."""
