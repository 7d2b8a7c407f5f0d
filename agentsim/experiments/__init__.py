"""What is built out of runs: plans of cost and time, probes of strategies, invasions of one strategy by another."""
