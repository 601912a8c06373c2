"""Says which digit images show, with the newest model that was published.

python digits.py --from s3://digits-public/models?unsigned=true 7.png 3.png
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from rote.client import Model
from rote.errors import RoteError


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    words.add_argument(
        "--from", dest="place", default=os.environ.get("DIGITS_FROM"), help="where the model was published"
    )
    words.add_argument("--key", action="append", default=[], help="a public key that must have signed it")
    words.add_argument("--cache", type=Path, help="a folder for the model's files")
    words.add_argument("--json", action="store_true", help="one JSON object for each image")
    words.add_argument("--version", action="store_true", help="say which version is in use")
    said = words.parse_args()
    if not said.place:
        words.error("say where the model was published: --from ADDRESS, or the variable DIGITS_FROM")
    if not said.images and not said.version:
        words.error("name an image")
    logging.getLogger("rote").setLevel(logging.ERROR)  # what the model has to say is told below
    try:
        model = Model(said.place, "digits", cache=said.cache, keys=said.key)
        folder = model.path()  # looks for a newer version: one small request
    except RoteError as e:
        print("\n".join(e.lines()), file=sys.stderr)
        return 1
    if model.problem:
        print(f"going on with {model.version}: {model.problem}", file=sys.stderr)
    if said.version:
        print(f"digits {model.version}")
    return classify(folder, model.version, said.images, as_json=said.json)


def classify(folder: Path, version: str, images: list[Path], *, as_json: bool) -> int:
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    bad = 0
    for path in images:
        try:
            with Image.open(path) as image:
                grey = np.asarray(image.convert("L").resize((8, 8)), dtype=np.float32)
        except OSError as e:
            print(f"{path}: cannot be read: {e}", file=sys.stderr)
            bad = 1
            continue
        (probability,) = session.run(["probability"], {"image": grey.reshape(1, 64) / 255})
        digit = int(probability.argmax())
        told = {"image": str(path), "digit": digit, "probability": round(float(probability.max()), 4)}
        print(json.dumps(told | {"version": version}) if as_json else f"{path}: {digit}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
