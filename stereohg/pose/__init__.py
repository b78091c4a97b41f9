"""The keypoint hourglass in use: prediction, decoding, evaluation."""
