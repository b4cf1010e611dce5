"""`archcalc profile …`: make, check and describe platform profiles."""
