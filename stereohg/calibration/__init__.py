"""From two cameras to metres: boards, calibration, rectification, and the files that others keep calibrations in."""
