"""Numbers for operators: counted in each API process, summed over all of them, written as Prometheus reads them."""
