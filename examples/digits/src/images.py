"""Writes the first N of the 1,797 handwritten digits (UCI, shipped inside scikit-learn) as image files."""

import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits


def main(first: int, folder: Path) -> None:
    digits = load_digits()
    for number in range(min(first, len(digits.images))):
        path = folder / str(digits.target[number]) / f"{number:04}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # The data set counts 0 to 16; an image counts 0 to 255.
            Image.fromarray((digits.images[number] * 255 / 16).astype("uint8")).save(path)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path("data/digits"))
