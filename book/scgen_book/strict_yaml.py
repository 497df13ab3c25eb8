"""YAML that all readers understand in one way: no key twice, no number that means something else to YAML 1.2."""

import re
import typing

import yaml


class _UniqueKeys:
    """A YAML loader that refuses the second of two equal keys, where YAML's own takes it without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Refuse, or make the mapping; keys that `<<` merges may be overruled."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"a second {key.value!r}", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Texts(_UniqueKeys, yaml.BaseLoader):
    """Lists and mappings of texts, which then get the declared type: `[064, NO]` has neither an octal nor a boolean."""


class _File(_UniqueKeys, yaml.SafeLoader):
    """YAML as papermill reads it, without the numbers that mean something else in YAML 1.2, and to most readers."""

    # as in papermill, a date is a text
    yaml_implicit_resolvers: typing.ClassVar[dict] = {
        first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def number(self, node: yaml.ScalarNode) -> float:
        """Return a number, or refuse `010` (octal, 8) and `1:30` (base 60, 90)."""
        text = self.construct_scalar(node)
        if ":" in text or re.fullmatch(r"[-+]?0[\d_]+", text):
            reason = f"{text} is a number of base {60 if ':' in text else 8} to some readers: write it without"
            raise yaml.constructor.ConstructorError(None, None, reason, node.start_mark)
        return self.construct_yaml_int(node) if node.tag.endswith(":int") else self.construct_yaml_float(node)


for _kind in ("int", "float"):
    _File.add_constructor(f"tag:yaml.org,2002:{_kind}", _File.number)


def read_yaml(text: str) -> object:
    """Read the text of a YAML file.

    Raises
    ------
    yaml.YAMLError
        If it is none, has a key twice, or a number that readers understand in two ways.
    """
    return yaml.load(text, _File)


def read_texts(text: str) -> object:
    """Read lists and mappings of texts, whatever the texts would mean to YAML.

    Raises
    ------
    yaml.YAMLError
        If the text is no YAML, or has a key twice.
    """
    return yaml.load(text, _Texts)
