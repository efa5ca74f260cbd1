"""Interventions: what is done to stop, slow or change what spreads. One kind a file; `base` says what one is."""
