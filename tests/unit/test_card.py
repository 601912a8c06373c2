"""Cards: what the hub reads of them, what stands in them, and that nothing in a record becomes markup."""

from __future__ import annotations

import re

import pytest
import yaml
from chains import FILES, commit, laid, project, released
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rote.errors import Missing
from rote.laws.models.remarks import Told
from rote.laws.publishing.card import CardSources, DataShown, card
from rote.words.pipeline import Model
from rote.words.snapshot import SnapshotRef
from rote.words.verdict import GateVerdict
from rote.words.version import Environment, Version, VersionFile
from scenes import lay

VERSION = Version(
    model="digits",
    version="1.2.0",
    snapshot=SnapshotRef("a" * 64, "20261121T110000Z-0123456789ab", 2, 300),
    files=[
        VersionFile(path="model.onnx", size=300_000, digest="b" * 64),
        VersionFile(path="labels.txt", size=9, digest="c" * 64),
    ],
    run="20261121-110001-abcdef",
    commit="d" * 40,
    metrics={"metrics.json": {"accuracy": 0.9583, "loss": 1e-05, "slices": {"seven": {"recall": 1}}}},
    params={"params.yaml": {"train": {"lr": 0.1, "layers": [8, 4]}}},
    gates=[GateVerdict(gate="accuracy >= 0.9", value=0.9583, threshold=0.9, passed=True)],
    released="2026-11-21T11:00:00Z",
    by="ada@lab",
    environment=Environment(
        system="Linux 6", machine="x86_64", cpus=2, python="3.11.7", packages={"numpy": "2.0"}
    ),
)
MODEL = Model(
    name="digits",
    files=("model.onnx",),
    desc="Reads one digit.",
    licence="Apache-2.0",
    limits="Light on dark.",
    card={
        "tags": ("digits",),
        "pipeline_tag": "image-classification",
        "datasets": ("mnist",),
        "language": ("en",),
    },
)
SOURCES = CardSources(
    version=VERSION,
    model=MODEL,
    stages=[("train", ["python train.py | tee `log`"])],
    data=[DataShown("data/images", "e" * 64, 1200, 3_000_000)],
    repository="https://example.org/digits.git",
)


def front(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_what_the_hub_reads():
    said = ModelCard(card(SOURCES)).data
    assert (said.license, said.library_name, said.pipeline_tag) == (
        "apache-2.0",
        "onnx",
        "image-classification",
    )
    assert said.tags == ["digits", "onnx", "rote"]
    assert said.model_name == "digits"
    found = {each.metric_name: each.metric_value for each in said.eval_results}
    assert found == {"accuracy": 0.9583, "loss": 1e-05, "slices.seven.recall": 1}
    assert {each.dataset_type for each in said.eval_results} == {"mnist"}
    assert said.metrics == ["accuracy", "loss", "recall"]


def test_what_people_read():
    text = card(SOURCES)
    for words in (
        "# digits 1.2.0",
        "Reads one digit.",
        "## Limits\n\nLight on dark.",
        "| accuracy | 0.9583 |",
        "| accuracy \\>= 0.9 | 0.9583 | 0.9 | passed |",
        "| data/images | 1,200 | 3,000,000 |",
        "| train | `` python train.py \\| tee `log` `` |",
        "| params.yaml | train.lr | 0.1 |",
        "Python 3.11.7 on Linux 6 x86\\_64, 2 processors.",
        "numpy==2.0",
        "rote fetch digits@1.2.0 --to model",
        f"| model.onnx | 300,000 | `{'b' * 64}` |",
        "`https://example.org/digits.git`",
    ):
        assert words in text, words
    assert card(SOURCES) == text


def test_the_least_there_can_be():
    bare = replace(
        VERSION, metrics={}, params={}, gates=[], environment=None, run=None, commit=None, files=[]
    )
    text = card(CardSources(version=bare))
    assert front(text) == {"tags": ["rote"]}
    assert "## Metrics" not in text
    assert "## Data" not in text


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("mit", {"license": "mit"}),
        ("MIT", {"license": "mit"}),
        ("Apache 2.0", {"license": "apache-2.0"}),
        ("cc-by-3.0", {"license": "cc-by-3.0"}),
        ("bigscience-openrail-m", {"license": "bigscience-openrail-m"}),
        ("OpenRAIL++", {"license": "openrail++"}),
        ("Our Own, 2.0!", {"license": "other", "license_name": "our-own-2.0"}),
        ("mit isc", {"license": "other", "license_name": "mit-isc"}),
        ("", {}),
    ],
)
def test_licences(licence, said):
    found = front(card(replace(SOURCES, model=replace(MODEL, licence=licence))))
    assert {k: v for k, v in found.items() if k.startswith("license")} == said


def test_a_deprecated_version_says_so():
    from rote.laws.models.remarks import DEPRECATE, Remark

    gone = Remark(seq=1, kind=DEPRECATE, text="wrong on sevens", at="", by="", nonce="")
    assert "> **Deprecated**: wrong on sevens" in card(replace(SOURCES, told=Told(deprecated=gone)))


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "---\nlicense: x\n---",
            "| a |\n|---|",
            "<script>",
            "]](http://x)",
            "no",
            "1e5",
            "a: b",
            "`" * 4,
            "# h",
            "\x85\u2028x",
            "@everyone",
        ]
    ),
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_in_a_record_breaks_out(one, two, three):
    version = replace(
        VERSION,
        metrics={one or "m": {two or "k": 0.5}},
        params={one: {two or "k": three}},
        by=three,
        environment=replace(VERSION.environment, packages={two: "1"}, system=one),
        gates=[GateVerdict(gate=three, value=None, threshold=None, passed=True)],
    )
    model = replace(MODEL, card={"tags": (one, two), "pipeline_tag": three})
    sources = replace(
        SOURCES,
        version=version,
        model=model,
        stages=[(one, [two])],
        data=[DataShown(three, "e" * 64)],
        repository=one,
    )
    text = card(sources)
    said = front(text)
    assert said["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.5
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Limits", "## Metrics", "## Gates", "## Data", "## Training", "## Use", "## Files", "## Where it comes from",
    ]  # fmt: skip
    if "<script" not in one + two:
        assert not re.search(r"(?<!\\)<script", text.split("---\n", 2)[2])


# ---- of a project --------------------------------------------------------------------------------------------------


def more(**keys):
    return FILES["rote.yaml"].replace(
        "    gates:", "".join(f"    {k}: {v}\n" for k, v in keys.items()) + "    gates:"
    )


def test_the_card_of_a_release(tmp_path):
    pipeline = more(licence="mit", limits="None known.", card="{tags: [a, b], text: docs/card.md}")
    root = laid(tmp_path / "project", FILES | {"rote.yaml": pipeline, "docs/card.md": "What *we* say.\n"})
    released(root)
    text = project(root, 5).models.card("digits@1.0.0")
    assert front(text)["license"] == "mit"
    for words in (
        "What *we* say.",
        "None known.",
        "| data | 2 | 14 |",
        "| sort | `mkdir -p work",
        "| params.yaml | lr | 0.1 |",
    ):
        assert words in text, words
    lay(root, {"docs/card.md": "Something else.\n"})
    commit(root)
    assert project(root, 6).models.card("digits@1.0.0") == text
    project(root, 7).models.promote("digits@1.0.0", "prod")
    assert project(root, 8).models.card("digits@prod") == text
    project(root, 9).models.deprecate("digits@1.0.0", "too old")
    assert "**Deprecated**: too old" in project(root, 10).models.card("digits@1.0.0")


def test_a_text_that_is_not_there(tmp_path):
    root = released(laid(tmp_path / "project", FILES | {"rote.yaml": more(card="{text: docs/card.md}")}))
    with pytest.raises(Missing, match="no file docs/card"):
        project(root, 5).models.card("digits@1.0.0")


def test_a_model_that_rote_yaml_describes_no_more(tmp_path):
    root = released(laid(tmp_path / "project"))
    lay(root, {"rote.yaml": FILES["rote.yaml"].partition("models:")[0]})
    assert "# digits 1.0.0" in project(root, 5).models.card("digits@1.0.0")
