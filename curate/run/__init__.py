"""How a run is carried out: stages, units, rounds, engines, the output folder and its account."""
