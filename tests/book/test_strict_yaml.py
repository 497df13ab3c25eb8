import pytest
import yaml

from scgen_book import provenance
from scgen_book.strict_yaml import read_yaml


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seed: 010", "010 is a number of base 8 to some readers"),
        ("seeds: [064, 1]", "064 is a number of base 8"),
        ("seed: 1:30", "1:30 is a number of base 60"),
        ("level: 1:30.5", "1:30.5 is a number of base 60"),
        ("seed: 1\nlevel: 2\nseed: 3", "a second 'seed'"),
        ("numbers: {B: 1, B: 2}", "a second 'B'"),
    ],
)
def test_a_file_of_parameters_that_readers_understand_in_two_ways_is_refused(text, reason):
    with pytest.raises(yaml.YAMLError, match=reason):
        read_yaml(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: 0\nb: -7\nc: 1_000\nd: 0x1F\ne: 0.5\nf: 1e-3\ng: '010'\nh: yes\ni: ~",
        "day: 2024-01-01",
        "a: [1, {b: .inf}]",
        "",
    ],
)
def test_any_other_file_means_what_it_means_to_papermill(text):
    from papermill.iorw import NoDatesSafeLoader

    assert read_yaml(text) == yaml.load(text, NoDatesSafeLoader)


def test_no_file_of_the_project_has_a_key_twice():
    files = [path for folder in ("book", "workflow", "template") for path in (provenance.ROOT / folder).rglob("*.y*ml")]
    assert len(files) > 8
    for path in [*files, *provenance.ROOT.glob("*.yml")]:
        assert read_yaml(path.read_text()) is not None, path
