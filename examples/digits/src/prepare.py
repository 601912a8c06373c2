"""data/digits/LABEL/NAME.png -> build/dataset.npz, with x in [0, 1] of shape (n, 64), y and the names of shape (n,)."""

import zlib
from pathlib import Path

import numpy as np
import yaml
from PIL import Image


def main() -> None:
    share = yaml.safe_load(Path("params.yaml").read_text())["prepare"]["test_share"]
    sets: dict[str, list] = {
        f"{side}_{what}": [] for side in ("train", "test") for what in ("x", "y", "name")
    }
    for path in sorted(Path("data/digits").glob("*/*.png")):
        # By name, not by chance: an image stays on its side when more images arrive.
        side = "test" if zlib.crc32(path.name.encode()) % 1000 < 1000 * share else "train"
        with Image.open(path) as image:
            sets[f"{side}_x"].append(np.asarray(image, dtype=np.float32).reshape(-1) / 255)
        sets[f"{side}_y"].append(int(path.parent.name))
        sets[f"{side}_name"].append(path.name)
    Path("build").mkdir(exist_ok=True)
    np.savez("build/dataset.npz", **{name: np.array(rows) for name, rows in sets.items()})
    print(f"{len(sets['train_y'])} images to train on, {len(sets['test_y'])} to test on")


if __name__ == "__main__":
    main()
