"""Deep peephole LSTMs with residual blocks, and the residue pairs of two proteins that touch."""
