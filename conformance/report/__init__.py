"""What a person reads of a run, each made from `conformance.results` and from nothing else."""
