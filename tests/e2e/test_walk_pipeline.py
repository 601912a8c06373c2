"""A walk through what section 3 promises: stages, params and runs, used in unusual but legal ways."""

from __future__ import annotations

from place import Place

NESTED = """\
stages:
  prep:
    cmd: mkdir -p "out dir/é" && cp data.txt "out dir/é/all.txt"
    deps: [data.txt]
    outs: [out dir]
  train:
    wdir: sub
    cmd: cp "../out dir/é/all.txt" model.bin
    deps: ["../out dir/é/all.txt"]
    outs: [model.bin]
"""


def stages(place: Place, *args: str, **more: object) -> list[str]:
    return [s["stage"] for s in place.rote("run", *args, "--json", **more).json["stages"]]  # type: ignore[arg-type]  # cwd


def test_a_target_is_a_path_from_where_one_stands_or_something_in_an_out(place: Place) -> None:
    place.write("rote.yaml", NESTED)
    place.write("data.txt", "1\n")
    sub = place.root / "sub"
    sub.mkdir()
    assert stages(place, "model.bin", cwd=sub) == ["prep", "train"]
    assert stages(place, "./model.bin", cwd=sub) == ["prep", "train"]
    assert stages(place, "sub/model.bin", cwd=sub) == ["prep", "train"], "from the root, as rote.yaml says it"
    assert stages(place, "../out dir", cwd=sub) == ["prep"]
    assert stages(place, "out dir/é/all.txt") == ["prep"]
    assert place.rote("why", "model.bin", cwd=sub).out.startswith("train: hit")
    assert "1 stage" in place.rote("plan", "../out dir/é", "--force", cwd=sub).out
    assert "no stage is called 'data.txt'" in place.rote("run", "data.txt", code=2).err


def test_a_project_without_stages_has_nothing_to_run_and_records_no_run(place: Place) -> None:
    told = place.rote("run", code=2).err
    assert "describes no stages" in told
    assert "next: describe one" in told
    assert place.rote("runs", "--json").json == []


def test_what_was_written_over_an_out_is_not_put_aside_without_a_word(place: Place) -> None:
    place.write("rote.yaml", "stages:\n  a: {cmd: echo 1 > o.txt, outs: [o.txt]}\n")
    place.rote("run")
    place.write("o.txt", "by hand")
    told = place.rote("run").err
    (aside,) = (place.root / ".rote/aside").rglob("o.txt")
    assert aside.read_text() == "by hand"
    assert aside.relative_to(place.root).as_posix() in told
    place.write("o.txt", "by hand again")
    told = place.rote("run", "--force").err
    assert "/a/before/o.txt now" in told


def test_where_partial_outs_are_is_no_line_of_the_stages_output(place: Place) -> None:
    place.write("rote.yaml", "stages:\n  a: {cmd: 'echo 1 > o.txt; echo broke; exit 3', outs: [o.txt]}\n")
    lines = place.rote("run", code=1).out.splitlines()
    assert "  | broke" in lines
    assert any(line.startswith("  what it had written is in .rote/aside/") for line in lines)


def test_a_changed_param_is_told_in_one_line_and_by_its_type(place: Place) -> None:
    place.write("rote.yaml", "stages:\n  a: {cmd: cp params.yaml o, params: [n], outs: [o]}\n")
    place.write("params.yaml", 'n: "5"\n')
    place.rote("run")
    assert 'changed: "5" -> 5' in place.rote("plan", "-S", "n=5").out
    assert 'changed: 5 -> "a\\nb"' in place.rote("plan", "-S", "n=a\nb").out
    assert "changed: 5 -> six" in place.rote("plan", "-S", "n=six").out


def test_a_value_of_an_override_that_cannot_be_read_is_shown(place: Place) -> None:
    place.write("rote.yaml", "stages:\n  a: {cmd: cp params.yaml o, params: [n], outs: [o]}\n")
    place.write("params.yaml", "n: [1]\n")
    told = place.rote("run", "-S", "n=[1", code=2).err
    assert "-S: cannot read the value '[1'" in told
    assert "next:" in told


def test_a_stage_that_reads_a_folder_of_source_is_a_hit_although_python_writes_into_it(place: Place) -> None:
    place.write("src/util.py", "def f(): return 1\n")
    place.write("src/train.py", "import util\nopen('o', 'w').write(str(util.f()))\n")
    place.write("rote.yaml", "stages:\n  a: {cmd: python src/train.py, deps: [src], outs: [o]}\n")
    env = {"PYTHONDONTWRITEBYTECODE": ""}
    assert place.rote("run", "--json", **env).json["stages"][0]["outcome"] == "done"
    assert (place.root / "src/__pycache__").is_dir(), "or this test shows nothing"
    assert place.rote("run", "--json", **env).json["stages"][0]["outcome"] == "hit"


def test_a_stage_that_cannot_run_is_not_nothing_to_do(place: Place) -> None:
    place.write("rote.yaml", "stages:\n  a: {cmd: cp nope o, deps: [nope], outs: [o]}\n  b: {cmd: 'true'}\n")
    assert "1 of 2 stages would run, 1 cannot run" in place.rote("plan").out
    assert "1 of 2 stages would run: b; 1 of 2 stages cannot run: a" in place.rote("status").out


def test_a_failure_of_several_lines_leaves_the_table_of_stages_whole(place: Place) -> None:
    place.write("rote.yaml", "stages:\n  a: {cmd: 'echo one; echo two; exit 3', outs: [o.txt]}\n")
    place.rote("run", code=1)
    lines = place.rote("show", "last").out.splitlines()
    assert "              | two" in lines
    assert lines[-1].endswith("exit code 3")
