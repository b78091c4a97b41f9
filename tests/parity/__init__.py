"""What the published networks answer, in numbers."""

from pathlib import Path

FOLDER = Path(__file__).parent
