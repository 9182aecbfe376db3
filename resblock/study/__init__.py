"""The paper's study, part by part: what `resblock reproduce` and `resblock sweep` compute."""
