"""The commands of `archcalc trace`, one module each."""
