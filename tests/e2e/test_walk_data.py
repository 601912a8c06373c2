"""A walk through what section 2 promises: data, pointers and stores, used in unusual but legal ways."""

from __future__ import annotations

from place import Place


def test_a_fresh_clone_may_look_around_before_it_uses_its_own_store(place: Place) -> None:
    place.write("data/x.txt", "x")
    place.rote("add", "data")
    place.commit()
    clone = Place(place.root.parent / "clone")
    clone.git("clone", "-q", str(place.root), ".")
    clone.rote("status")
    clone.rote("plan")
    told = clone.rote("checkout", code=1)
    assert "store" in told.err
    clone.write("more/y.txt", "y")
    clone.rote("add", "more")
    assert clone.rote("cat", "more/y.txt").out == "y"


def test_a_store_that_is_away_is_not_founded_anew_after_a_look(place: Place) -> None:
    place.write("data/x.txt", "x")
    place.rote("add", "data")
    (place.root / ".rote/store").rename(place.root / ".rote/elsewhere")
    place.rote("status")
    place.rote("add", "--force", "data", code=1)
    assert not (place.root / ".rote/store").exists()


def test_a_single_file_is_listed_by_its_name(place: Place) -> None:
    place.write("tables/one file.csv", "1\n")
    place.rote("add", "tables/one file.csv")
    assert place.rote("ls", "tables/one file.csv").out == "one file.csv\n"
    assert place.rote("ls", "--json", "tables/one file.csv.rote").json[0]["path"] == "one file.csv"
    assert place.rote("cat", "tables/one file.csv").out == "1\n"


def test_the_pointer_may_be_named_in_place_of_its_data(place: Place) -> None:
    place.write("data/x.txt", "x")
    place.rote("add", "data")
    (place.root / "data/x.txt").unlink()
    assert "1 file written" in place.rote("checkout", "data.rote").out
    assert place.rote("ls", "data.rote").out == "x.txt\n"


def test_one_file_of_a_folder_is_not_checked_out_alone_but_told_how(place: Place) -> None:
    place.write("data/a b.txt", "x")
    place.rote("add", "data")
    told = place.rote("checkout", "data/a b.txt", code=1).err
    assert "'data/a b.txt' lies in 'data'" in told
    assert "next: rote checkout data; or for this file alone: rote cat " in told


def test_a_path_that_is_not_in_the_data_names_the_data(place: Place) -> None:
    place.write("sub/data/x.txt", "x")
    place.rote("add", "sub/data")
    assert "next: rote ls data lists" in place.rote("ls", "data/nope", code=1, cwd=place.root / "sub").err


def test_revisions_without_a_git_repository_say_what_to_do(bare: Place) -> None:
    folder = Place(bare.root.parent / "no git")
    folder.rote("init")
    told = folder.rote("diff", code=2).err
    assert "no git repository" in told
    assert "next: git init" in told


def test_a_store_that_is_not_there_is_made_as_the_message_says(place: Place) -> None:
    place.write("rote.local.yaml", "store: ../other store\n")
    place.write("data/x.txt", "x")
    assert "`rote init` makes one" in place.rote("add", "data", code=1).err
    place.rote("init")
    place.rote("add", "data")


def test_bytecode_that_python_wrote_is_no_data_and_in_nobodys_way(place: Place) -> None:
    place.write("pkg/a.py", "1\n")
    place.rote("add", "pkg")
    place.commit()
    place.write("pkg/__pycache__/a.pyc", "x")
    assert "unchanged" in place.rote("status").out
    place.write("pkg/sub/b.py", "2\n")
    place.write("pkg/sub/__pycache__/b.pyc", "x")
    place.rote("add", "pkg")
    place.commit()
    assert place.rote("ls", "pkg").out == "a.py\nsub/b.py\n"
    place.rote("checkout", "--rev", "HEAD~1")
    assert "1 file written" in place.rote("checkout").out
    assert place.read("pkg/sub/b.py") == "2\n"


def test_config_names_the_place_of_the_store_once(place: Place) -> None:
    place.write("rote.local.yaml", "# mine\nstore: ../mine\n")
    assert place.rote("config").out.splitlines()[1].endswith("  rote.local.yaml:2: store")
