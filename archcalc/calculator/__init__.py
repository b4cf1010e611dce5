"""From a profile's facts to figures, by a generation's formulas: constants, structs, layout, size classes."""
