"""Addresses, names, tokens and descriptions of forges: values in, values out."""

from __future__ import annotations

import pytest

from rote.adapters.forges import address, blocks, naming, tokens
from rote.adapters.forges.packages import package_of
from rote.errors import BadName, UsageError
from rote.laws.publishing.releasetags import any_tag, is_channel


@pytest.mark.parametrize(
    ("text", "kind", "server", "path", "shown"),
    [
        ("github:owner/repo", "github", "https://github.com", "owner/repo", "github:owner/repo"),
        ("GitHub:owner/repo.git", "github", "https://github.com", "owner/repo", "github:owner/repo"),
        ("github:https://github.com/owner/repo", "github", "https://github.com", "owner/repo", "github:owner/repo"),
        ("github:https://GHE.example.org:443/o/r/", "github", "https://ghe.example.org", "o/r", "github:https://ghe.example.org/o/r"),
        ("github:http://127.0.0.1:8080/o/r", "github", "http://127.0.0.1:8080", "o/r", "github:http://127.0.0.1:8080/o/r"),
        ("gitlab:group/sub/project", "gitlab", "https://gitlab.com", "group/sub/project", "gitlab:group/sub/project"),
        ("gitlab:https://git.example.org:8443/g/p", "gitlab", "https://git.example.org:8443", "g/p", "gitlab:https://git.example.org:8443/g/p"),
    ],
)  # fmt: skip
def test_addresses(text, kind, server, path, shown):
    found = address.parse(text)
    assert (found.kind, found.server, found.path, found.text) == (kind, server, path, shown)
    assert address.parse(found.text) == found


@pytest.mark.parametrize(
    "text",
    [
        "github:", "github:owner", "github:owner/repo/more", "github:../repo", "github:owner/..", "github:o wner/repo",
        "github:owner/re\npo", "github:http://git.example.org/o/r", "github:ftp://x/o/r", "github:https://user:secret@x/o/r",
        "github:https:///o/r", "gitlab:project", "gitlab:/", "svn:owner/repo", "github:owner/repo?x=1", "github:owner/repo#x",
        "github:https://x:port/o/r", "github:-owner/repo", "github:https://h/o/%2e%2e", "github:file:///etc/passwd",
        "github:http://127.0.0.1.evil.example/o/r", "github:http://localhost.evil.example/o/r",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(text):
    with pytest.raises(UsageError) as e:
        address.parse(text)
    assert "secret" not in "\n".join(e.value.lines())


@pytest.mark.parametrize(
    "text", ["v1.0.0", "keyboard@v1.2.0-rc.1", "a/b", "nightly-2026", "m#prod#3", "1.0+x", "x" * 200]
)
def test_tags(text):
    assert any_tag(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "-x", ".x", "/x", "x/", "x.", "@x", "a b", "a..b", "a//b", "a/.b", "a.lock", "a.lock/b", "a~b", "a^b", "a:b", "a?b",
        "a*b", "a[b", "a\\b", "a@{b", "a\nb", "a\0b", "$(id)", "a`b", "a;b", "a|b", "a&b", "a'b", 'a"b', "a%2e", "x" * 201,
        "\ud800", "a\u202eb",
    ],
)  # fmt: skip
def test_tags_that_are_refused(text):
    with pytest.raises(BadName):
        any_tag(text)


def test_channels_are_told_from_versions():
    assert is_channel("keyboard@prod")
    assert is_channel("keyboard@v")
    assert is_channel("keyboard@vnext")
    assert not any(map(is_channel, ["keyboard@v1.0.0", "v1.0.0", "@prod", "prod", "a@", "a@1"]))


def test_names_of_assets():
    assert naming.asset("model.onnx") == "model.onnx"
    assert naming.asset("a/b c/ü.txt") == "a__b_c___.txt"
    assert naming.asset(".hidden") == "_.hidden"
    assert naming.asset("rote-manifest.json") == "_rote-manifest.json"
    assert naming.asset("rote-files.json") == "_rote-files.json"
    assert naming.asset("rote-draft.json") == "_rote-draft.json"
    long = [naming.asset(f"{'d' * 250}{n}/model.onnx") for n in range(2)]
    assert len(set(long)) == 2
    assert all(len(name) == 200 and name.endswith("model.onnx") for name in long)


def test_packages_of_tags():
    assert package_of("keyboard@v1.2.0") == ("keyboard", "v1.2.0")
    assert package_of("v1.2.0") == ("_releases", "v1.2.0")
    assert package_of("a_b@v1") == ("a_5fb", "v1")
    assert package_of("x/y..z") == ("_releases", "x_2fy._2ez")
    tags = [
        "a@v1",
        "a@@v1",
        "a@v1@",
        "a_40v1",
        "a/v1",
        "a+v1",
        "a#v1",
        "a.v1",
        "a..v1",
        "a._2ev1",
        ".a@v1",
        "_releases@a",
        "a",
    ]
    assert len({package_of(tag) for tag in tags}) == len(tags)


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":1}\nblake3:00\n', b"{}", b"", b"\n", b"a\n```\nb\n", b"\xff\x00", '{"why":"naïve ```json"}\n'.encode(), b"a\r\nb\n",
        b"\x1b[31m\n", b"x" * 4096, b"a\n\nb\n", "{}\u2028\n".encode(),
    ],
)  # fmt: skip
def test_a_document_comes_out_of_its_description_as_it_went_in(document):
    text = blocks.framed("keyboard", "prod", document)
    assert blocks.found(text) == document
    assert blocks.found(text.replace("\n", "\r\n")) == document
    assert blocks.found(text.rstrip("\n")) == document


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "```json\nno end", "```base64\nAA\n```", "``` json\n{}\n```", "```base64\n****\n```"],
)
def test_descriptions_without_a_document(text):
    assert blocks.found(text) is None


class TestTokens:
    def find(self, text, tmp_path, **environ):
        return tokens.found(address.parse(text), {"HOME": str(tmp_path), **environ})

    def hosts(self, tmp_path, text, name="gh/hosts.yml"):
        path = tmp_path / ".config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @pytest.mark.parametrize(
        ("text", "environ", "expected"),
        [
            ("github:o/r", {"GH_TOKEN": "a", "GITHUB_TOKEN": "b"}, ("a", "GH_TOKEN")),
            ("github:o/r", {"GH_TOKEN": "", "GITHUB_TOKEN": "b\n"}, ("b", "GITHUB_TOKEN")),
            ("github:https://acme.ghe.com/o/r", {"GH_TOKEN": "a"}, ("a", "GH_TOKEN")),
            ("github:o/r", {"GH_ENTERPRISE_TOKEN": "a"}, None),
            ("github:https://git.example.org/o/r", {"GH_TOKEN": "a", "GITHUB_TOKEN": "b"}, None),
            ("github:https://git.example.org/o/r", {"GH_ENTERPRISE_TOKEN": "a"}, None),
            ("github:https://git.example.org/o/r", {"GH_ENTERPRISE_TOKEN": "a", "GH_HOST": "other.example.org"}, None),
            ("github:https://git.example.org/o/r", {"GH_ENTERPRISE_TOKEN": "a", "GH_HOST": "git.example.org"}, ("a", "GH_ENTERPRISE_TOKEN")),
            ("github:https://git.example.org/o/r", {"GITHUB_TOKEN": "a", "GITHUB_SERVER_URL": "https://git.example.org"}, ("a", "GITHUB_TOKEN")),
            ("github:https://evil.ghe.com.example/o/r", {"GH_TOKEN": "a"}, None),
            ("github:https://xghe.com/o/r", {"GH_TOKEN": "a"}, None),
            ("gitlab:g/p", {"GITLAB_TOKEN": "a", "CI_JOB_TOKEN": "j"}, ("a", "GITLAB_TOKEN")),
            ("gitlab:g/p", {"GITLAB_TOKEN": "a", "GITLAB_HOST": "git.example.org"}, None),
            ("gitlab:https://git.example.org/g/p", {"GITLAB_TOKEN": "a"}, None),
            ("gitlab:https://git.example.org/g/p", {"GITLAB_TOKEN": "a", "GITLAB_HOST": "https://git.example.org/"}, ("a", "GITLAB_TOKEN")),
            ("gitlab:https://git.example.org/g/p", {"CI_JOB_TOKEN": "j", "CI_SERVER_URL": "https://git.example.org"}, ("j", "CI_JOB_TOKEN")),
            ("gitlab:https://other.example.org/g/p", {"CI_JOB_TOKEN": "j", "CI_SERVER_URL": "https://git.example.org"}, None),
            ("gitlab:g/p", {}, None),
        ],
    )  # fmt: skip
    def test_from_the_environment(self, tmp_path, text, environ, expected):
        found = self.find(text, tmp_path, **environ)
        assert (found and (found.secret, found.source)) == expected

    def test_kinds_of_header(self, tmp_path):
        assert self.find("github:o/r", tmp_path, GH_TOKEN="a").headers() == {"Authorization": "Bearer a"}
        assert self.find("gitlab:g/p", tmp_path, GITLAB_TOKEN="a").headers() == {"Authorization": "Bearer a"}
        assert self.find("gitlab:g/p", tmp_path, GITLAB_TOKEN="gldt-a").headers() == {
            "Deploy-Token": "gldt-a"
        }
        job = self.find("gitlab:g/p", tmp_path, CI_JOB_TOKEN="j", CI_SERVER_URL="https://gitlab.com")
        assert job.headers() == {"JOB-TOKEN": "j"}

    def test_what_gh_keeps(self, tmp_path):
        self.hosts(
            tmp_path,
            "github.com:\n    user: me\n    oauth_token: gho_x\ngit.example.org:\n    oauth_token: gho_y\n",
        )
        assert self.find("github:o/r", tmp_path).secret == "gho_x"
        assert self.find("github:https://git.example.org/o/r", tmp_path).secret == "gho_y"
        assert self.find("github:https://other.example.org/o/r", tmp_path) is None
        assert self.find("github:o/r", tmp_path, GH_TOKEN="env").secret == "env"
        assert self.find("github:o/r", tmp_path, XDG_CONFIG_HOME=str(tmp_path / "no")) is None

    def test_what_glab_keeps(self, tmp_path):
        text = "git_protocol: ssh\nhosts:\n  gitlab.com:\n    token: !!null glpat-x\n  git.example.org:\n    token: glpat-y\n"
        self.hosts(tmp_path, text, "glab-cli/config.yml")
        assert self.find("gitlab:g/p", tmp_path).secret == "glpat-x"
        assert self.find("gitlab:https://git.example.org/g/p", tmp_path).secret == "glpat-y"

    def test_a_keyring_leaves_no_token_and_a_hint(self, tmp_path):
        self.hosts(tmp_path, "github.com:\n    user: me\n")
        at = address.parse("github:o/r")
        assert self.find("github:o/r", tmp_path) is None
        assert "gh auth token" in tokens.hint(at, {"HOME": str(tmp_path)})

    @pytest.mark.parametrize(
        "text", ["github.com: {oauth_token: 'gho_secret", "a: b: gho_secret", "\x00gho_secret"]
    )
    def test_a_broken_file_is_said_and_not_shown(self, tmp_path, text):
        self.hosts(tmp_path, text)
        with pytest.raises(UsageError) as e:
            self.find("github:o/r", tmp_path)
        assert "gho_secret" not in "\n".join(e.value.lines())
        assert "hosts.yml" in str(e.value)

    @pytest.mark.parametrize("text", ["- 1", "1", "", "github.com: 1", "github.com: [gho_secret]"])
    def test_a_file_that_says_something_else_has_no_token(self, tmp_path, text):
        self.hosts(tmp_path, text)
        assert self.find("github:o/r", tmp_path) is None

    @pytest.mark.parametrize("text", ["two words", "a\nb", "tökén", "a\x1b[31m", "a\x00"])
    def test_what_is_no_token_is_refused_and_not_shown(self, tmp_path, text):
        with pytest.raises(UsageError) as e:
            self.find("github:o/r", tmp_path, GH_TOKEN=text)
        assert text not in "\n".join(e.value.lines())
        with pytest.raises(UsageError):
            tokens.given(address.parse("github:o/r"), text)

    def test_nothing_shows_it(self, tmp_path):
        found = self.find("github:o/r", tmp_path, GH_TOKEN="ghp_canary")
        assert "ghp_canary" not in repr(found) + str(found)
