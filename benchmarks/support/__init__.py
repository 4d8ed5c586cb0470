"""What the benchmark scripts share: the machine, statistics, processes, tables."""
