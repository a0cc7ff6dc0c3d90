import subprocess
import sys

import pytest

import nmfsep.registry as module
from nmfsep.errors import UsageError
from nmfsep.registry import Registry, suggestion

REGISTRIES = [value for value in vars(module).values() if isinstance(value, Registry)]
ENTRIES = [pytest.param(registry, name, id=f"{registry.kind}-{name}") for registry in REGISTRIES for name in registry]
TOYS = Registry("toy", ("ball", "nmf.fit:fit", "round"), ("kite", "x:y", "flies"), aliases={"sphere": "ball"})


def test_the_registries_are_found():
    assert {registry.kind for registry in REGISTRIES} >= {"divergence", "solver", "start", "mask"}


@pytest.mark.parametrize(("registry", "name"), ENTRIES)
def test_every_entry_loads_and_has_a_summary_of_one_line(registry, name):
    assert registry.load(name) is not None
    assert registry[name]
    assert "\n" not in registry[name]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_aliases_lead_to_entries_and_hide_none(registry):
    assert set(registry.aliases.values()) <= set(registry)
    assert not set(registry.aliases) & set(registry)


@pytest.mark.parametrize(
    ("alias", "name"),
    [("kullback-leibler", "kl"), ("itakura-saito", "is"), ("fro", "frobenius"), ("euclidean", "frobenius")],
)
def test_the_names_of_scikit_learn_are_understood(alias, name):
    assert module.DIVERGENCES.resolve(alias) == name
    assert module.DIVERGENCES.load(alias) == module.DIVERGENCES.load(name)


def test_as_a_mapping_it_goes_from_name_to_summary():
    assert dict(TOYS) == {"ball": "round", "kite": "flies"}
    assert len(TOYS) == 2
    assert "sphere" not in TOYS


@pytest.mark.parametrize(("name", "found"), [("ball", "ball"), ("sphere", "ball")])
def test_names_and_aliases_resolve(name, found):
    assert TOYS.resolve(name) == found


@pytest.mark.parametrize(
    ("name", "hint"),
    [("bal", "did you mean 'ball'"), ("spere", "did you mean 'sphere'"), ("zzz", "choose from ball, kite, sphere")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, hint):
    with pytest.raises(UsageError, match=f"toy '{name}' is unknown; {hint}"):
        TOYS.resolve(name)


@pytest.mark.parametrize("method", [TOYS.resolve, TOYS.load])
def test_the_empty_name_is_unknown(method):
    with pytest.raises(UsageError, match="toy '' is unknown"):
        method("")


def test_a_registry_copies_what_it_is_given():
    aliases = {"first": "a"}
    registry = Registry("thing", ("a", "x:y", "one"), aliases=aliases)
    aliases["b"] = "a"
    assert registry.aliases == {"first": "a"}


def test_far_off_words_get_the_list_in_order():
    assert suggestion("q", ["b", "a"]) == "choose from a, b"


def test_settings_and_registry_load_no_numeric_library():
    code = "import sys, nmfsep.registry, nmfsep.settings; print('numpy' in sys.modules, 'click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"False"]
