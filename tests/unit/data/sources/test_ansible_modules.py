"""Ansible modules: summaries, descriptions without markup, and example tasks."""

import pytest

from search_r3.data.sources.ansible_modules import (
    AnsibleModule,
    ansible_modules_pairs,
    ansible_tasks_pairs,
    read_ansible_modules,
)
from search_r3.errors import DataError

MODULE = '''#!/usr/bin/python
DOCUMENTATION = r"""
module: pot
short_description: Boil water in a pot.
version_added: 1.0
description:
  - Uses C(fire), see L(the page, https://x.example/) and U(https://y.example/).
  - "Set O(community.tea.pot#module:hot) to V(true)."
options:
  bad: [yaml
"""
EXAMPLES = """
- name: Boil two cups
  community.tea.pot:
    # comment
    hostname: "{{ host }}"
    cups: 2

  register: result

- name: "Pour"
  tea: 1
"""
'''


def module(name, collection="community/tea", tasks=()):
    summary, text = f"Make a {name}", f"It makes a {name} of the best kind."
    return AnsibleModule(f"{collection}/{name}.py", collection, name, summary, text, tasks)


def test_fields(tmp_path):
    """Options are not parsed; markup, comments and the address of the device go."""
    path = tmp_path / "community" / "tea" / "plugins" / "modules" / "pot.py"
    path.parent.mkdir(parents=True)
    path.write_text(MODULE)
    (found,) = read_ansible_modules(tmp_path, "*/*/plugins/modules/**/*.py")
    assert (found.path, found.collection) == ("community/tea/plugins/modules/pot.py", "community/tea")
    assert (found.name, found.summary) == ("pot", "Boil water in a pot")
    assert found.description == "Uses fire, see the page and. Set hot to true."
    assert found.tasks == (
        ("Boil two cups", "community.tea.pot:\n  cups: 2\nregister: result"),
        ("Pour", "tea: 1"),
    )


def test_tasks():
    """Names of three words find YAML of two lines; a name with two answers is left out."""
    first = module("cup", tasks=(("Fill the cup", "cup:\n  full: true"), ("Empty it", "cup:\n  full: false")))
    other = module("pot", tasks=(("Heat the pot", "pot:\n  hot: true"), ("Wash the pot now", "wash: pot")))
    pairs = ansible_tasks_pairs([first, other])
    assert [(pair.query, pair.positive, pair.negatives) for pair in pairs] == [
        ("Fill the cup", "cup:\n  full: true", ("pot:\n  hot: true",)),
        ("Heat the pot", "pot:\n  hot: true", ("cup:\n  full: true",)),
    ]


def test_tasks_of_a_module_are_cut():
    """At most six tasks of a module are taken."""
    tasks = tuple((f"Fill the cup {number}", f"cup:\n  number: {number}") for number in range(10))
    assert len(ansible_tasks_pairs([module("cup", tasks=tasks)])) == 6


def test_modules():
    """A summary finds name and description; negatives are of the collection."""
    pairs = ansible_modules_pairs([module("cup"), module("pot"), module("car", "community/road")])
    assert pairs[0].query == "Make a cup"
    assert pairs[0].positive == "cup: It makes a cup of the best kind."
    assert pairs[0].negatives == ("pot: It makes a pot of the best kind.",)
    assert pairs[2].negatives == ()


def test_refuses_other_folders(tmp_path):
    """A folder without documented modules is an error."""
    (tmp_path / "x.py").write_text("x = 1\n")
    with pytest.raises(DataError, match="holds no documented module"):
        read_ansible_modules(tmp_path, "*.py")
