"""The whole life of a model in a fresh project: `make demo`, or `python demo.py FOLDER`.

Real images become a released model that an application picks up; more images arrive and the application updates itself;
a bad model is refused; a rollback takes the application back.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
MARK = ".rote-demo"


def say(text: str) -> None:
    print(f"\n# {text}", flush=True)


def sh(command: str, lines: int = 1, expect: int = 0) -> None:
    """Type a command; show the seconds it took, the bytes by which the store grew, and the last `lines` it printed."""
    before, began = stored(), time.monotonic()
    done = subprocess.run(
        shlex.split(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=environment(),
    )
    took, grew = time.monotonic() - began, stored() - before
    print(f"$ {command:<44}{took:5.1f} s" + (f"  store +{grew / 1000:,.0f} kB" if grew else ""), flush=True)
    for line in done.stdout.splitlines()[-lines:] if lines else []:
        print(f"  {line}")
    if done.returncode != expect:
        sys.exit(f"{done.stdout}\n`{command}` ended with exit code {done.returncode}, not {expect}")


def stored() -> int:
    return sum(p.stat().st_size for p in Path(".rote/store").rglob("*") if p.is_file())


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    who = {
        f"GIT_{role}_{what}": word
        for role in ("AUTHOR", "COMMITTER")
        for what, word in (("NAME", "Demo"), ("EMAIL", "demo@example.org"))
    }
    # The demo has a store of its own, whatever the person's environment says.
    return {k: v for k, v in os.environ.items() if k != "ROTE_STORE"} | {"PATH": path} | who


def fresh(project: Path) -> None:
    if project.exists():
        if any(project.iterdir()) and not (project / MARK).exists():
            sys.exit(f"{project} is not a demo's folder; name another: make demo DEMO=/some/where")
        shutil.rmtree(project)
    project.mkdir(parents=True)
    for name in ("rote.yaml", "params.yaml", "app.py"):
        shutil.copy(HERE / name, project)
    shutil.copytree(HERE / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (project / MARK).touch()
    (project / ".gitignore").write_text(f"{MARK}\n.app-cache/\n__pycache__/\nbuild/\nmetrics.json\npublic/\n")
    os.chdir(project)


def main(project: Path) -> None:
    began = time.monotonic()
    fresh(project)

    say("A git repository becomes a rote project; its store is a folder, until a bucket is wanted.")
    sh("git init -q -b main .", lines=0)
    sh("rote init", lines=2)

    say("1,200 real handwritten digits become versioned data; git keeps a pointer of six lines.")
    sh("python src/images.py 1200", lines=0)
    sh("rote add data/digits")
    sh("git add .", lines=0)
    sh("git commit -q -m 'The first 1,200 digits'", lines=0)

    say(
        "The pipeline: check the data, prepare, train, export to ONNX, evaluate with the application's runtime."
    )
    sh("rote run")

    say(
        "The run passes its gates: it becomes version 1.0.0. The alias prod points at it, and it is published as plain files."
    )
    sh("rote release digits")
    sh("rote promote digits@1.0.0 prod", lines=3)

    say("An application of 15 lines fetches what was published, and classifies an image.")
    sh("python app.py data/digits/7/0007.png")

    say("Nothing changed, so nothing runs.")
    sh("rote run")

    say("597 more images arrive: what depends on them runs again; the application updates itself.")
    sh("python src/images.py 1797", lines=0)
    sh("rote add data/digits")
    sh("git commit -q -a -m 'All 1,797 digits'", lines=0)
    sh("rote run")
    sh("rote release digits --bump minor")
    sh("rote promote digits@1.1.0 prod", lines=3)
    sh("python app.py data/digits/7/0007.png")

    say(
        "A bad idea: one epoch of training. Only what the param changes runs; then the gates refuse the model."
    )
    sh("rote run -S train.epochs=1")
    sh("rote release digits", lines=7, expect=1)

    say("Second thoughts about 1.1.0: a rollback takes the application back.")
    sh("rote rollback digits", lines=3)
    sh("python app.py data/digits/7/0007.png")

    say("What is there now.")
    sh("rote models", lines=2)
    sh("rote runs --columns id,metrics.accuracy,params.train.epochs", lines=4)
    sh("rote store stats --quick")

    say(
        "What others get: plain files that any web server can hand out. The store is not needed for that, nor is rote."
    )
    print(*(f"  {path}" for path in sorted(Path("public/models").rglob("*")) if path.is_file()), sep="\n")

    say(
        "1.1.0 was right after all: it is promoted again, that is published, and the application updates itself."
    )
    sh("rote promote digits@1.1.0 prod", lines=3)
    sh("python app.py data/digits/7/0007.png")
    print(
        f"\nAll of it took {time.monotonic() - began:.0f} s. The project is yours to play with: cd {project}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo").absolute())
