"""build/dataset.npz -> build/weights.npz: a network of one hidden layer."""

import warnings
from pathlib import Path

import numpy as np
import yaml
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier


def main() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())["train"]
    data = np.load("build/dataset.npz")
    network = MLPClassifier(
        hidden_layer_sizes=(params["hidden"],),
        learning_rate_init=params["learning_rate"],
        max_iter=params["epochs"],
        random_state=params["seed"],
    )
    # The number of epochs is ours to choose; that it could go on learning is no news.
    warnings.simplefilter("ignore", ConvergenceWarning)
    network.fit(data["train_x"], data["train_y"])
    (w1, w2), (b1, b2) = network.coefs_, network.intercepts_
    np.savez("build/weights.npz", w1=w1, b1=b1, w2=w2, b2=b2, classes=network.classes_)
    print(f"{network.n_iter_} epochs, loss {network.loss_:.4f}")


if __name__ == "__main__":
    main()
