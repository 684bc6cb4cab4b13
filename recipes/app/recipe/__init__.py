"""From YAML to a run: the schema, reading, building, rehearsing, profiling."""
