"""What a run says about the code that it ran."""

import subprocess

from scgen_book import provenance


def test_a_commit_says_whether_its_code_was_changed_but_not_what_was_recorded_since(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    rows, code = tmp_path / "book" / "record" / "rows.csv", tmp_path / "code.py"
    rows.parent.mkdir(parents=True)
    for file in (rows, code):
        file.write_text("1\n")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    head = git("rev-parse", "--short=12", "HEAD")
    assert provenance.commit() == head
    rows.write_text("1\n2\n")
    assert provenance.commit() == head
    code.write_text("2\n")
    assert provenance.commit() == f"{head}+"
