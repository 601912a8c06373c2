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


def sh(command: str, expect: int = 0) -> str:
    """Show a command and what it prints, as a person would see it; with the seconds it took."""
    print(f"$ {command}", flush=True)
    began = time.monotonic()
    done = subprocess.run(
        shlex.split(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=environment(),
    )
    for line in done.stdout.splitlines():
        print(f"  {line}")
    print(f"  ({time.monotonic() - began:.2f} s)", flush=True)
    if done.returncode != expect:
        sys.exit(f"`{command}` ended with exit code {done.returncode}, not {expect}")
    return done.stdout


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
    (project / ".gitignore").write_text(f"{MARK}\n.app-cache/\n__pycache__/\nbuild/\nmetrics.json\n")
    os.chdir(project)


def main(project: Path) -> None:
    began = time.monotonic()
    fresh(project)

    say("A git repository becomes a rote project; its store is a folder, until a bucket is wanted.")
    sh("git init -q -b main .")
    sh("rote init")

    say("1,200 real handwritten digits become versioned data.")
    sh("python src/images.py 1200")
    sh("rote add data/digits")
    sh("git add .")
    sh("git commit -q -m 'The first 1,200 digits'")

    say("The pipeline: prepare, train, export, evaluate.")
    sh("rote run")

    say("The run passes its gates: it becomes version 1.0.0, and prod points at it.")
    sh("rote release digits")
    sh("rote promote digits@1.0.0 prod")

    say("An application of 15 lines fetches the model and classifies an image.")
    sh("python app.py data/digits/7/0007.png")

    say("Nothing changed, so nothing runs.")
    sh("rote run")

    say("597 more images arrive: what depends on them runs again.")
    sh("python src/images.py 1797")
    sh("rote add data/digits")
    sh("rote plan")
    sh("rote run")
    sh("git commit -q -a -m 'All 1,797 digits'")
    sh("rote compare last~1 last")
    sh("rote release digits --bump minor")
    sh("rote promote digits@1.1.0 prod")
    sh("python app.py data/digits/7/0007.png")

    say("A bad idea: one epoch of training. Its gate refuses it.")
    sh("rote run -S train.epochs=1")
    sh("rote release digits", expect=1)

    say("Second thoughts about 1.1.0: a rollback takes the application back.")
    sh("rote rollback digits")
    sh("python app.py data/digits/7/0007.png")

    say("What is there now.")
    sh("rote models")
    sh("rote runs")
    sh("rote store stats")
    print(
        f"\nAll of it took {time.monotonic() - began:.0f} s. The project is yours to play with: cd {project}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo").absolute())
