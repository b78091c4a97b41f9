"""Sets of people with keypoints; `samples.py` has their common base."""
