"""A version at a forge, as people type it: draft until it is whole, the channel with it."""

from __future__ import annotations

from pathlib import Path

from place import Place

from servers.forge import Forge
from servers.github import GitHub

PIPELINE = """\
stages:
  train:
    cmd: cp weights model.bin && echo '{"acc":0.9}' > metrics.json
    deps: [weights]
    outs: [model.bin]
    metrics: [metrics.json]
models:
  m:
    files: [model.bin, labels.txt]
"""


def test_a_version_and_its_channel_at_a_forge(place: Place, forge: Forge) -> None:
    env = forge.login
    place.write("rote.yaml", PIPELINE + f"    publish: ['{forge.address}']\n")
    place.write("weights", b"one" * 1000)
    place.write("labels.txt", "a\nb\n")
    place.commit()
    place.rote("run")
    place.rote("release", "m")
    told = place.rote("promote", "m@1.0.0", "prod", **env)
    assert "published m@1.0.0" in told.err
    assert "prod there names 1.0.0 (move 1)" in told.err
    outcome = place.rote("publish", "m@prod", "--json", **env).json[0]
    assert (outcome["published"]["created"], outcome["channel"]["moved"]) == (False, False)
    assert outcome["published"]["page"].startswith("http")

    place.write("weights", b"two" * 1000)
    place.rote("run")
    place.rote("release", "m", "--promote", "prod", **env)
    place.rote("rollback", "m", **env)
    moved = place.rote("publish", "m@prod", "--json", **env).json[0]["channel"]
    assert (moved["version"], moved["seq"], moved["moved"]) == ("1.0.0", 3, False)
    told = place.rote(
        "publish",
        "m@1.0.0",
        code=1,
        **{name: "wrong" if "TOKEN" in name else value for name, value in env.items()},
    )
    assert "next:" in told.err


def test_the_tag_is_on_the_commit_where_the_forge_has_the_repository(place: Place, tmp_path: Path) -> None:
    with GitHub(tmp_path / "forge") as forge:
        env = forge.login
        place.git("remote", "add", "origin", f"{forge.url}/owner/repo.git")
        place.write("rote.yaml", PIPELINE)
        place.write("weights", b"one" * 1000)
        place.write("labels.txt", "a\nb\n")
        commit = place.commit()
        place.rote("run")
        place.rote("release", "m")
        told = place.rote("publish", "m@1.0.0", forge.address, code=1, **env)
        assert "git push" in told.err
        forge.commits.append(commit)  # pushed
        place.rote("publish", "m@1.0.0", forge.address, **env)
        assert forge.tags["m@v1.0.0"] == commit
        assert forge.wrong == []
