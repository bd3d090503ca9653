"""What the benchmark of exported functions runs: models, programs in C, and CasADi's code."""
