"""Home Assistant: names with their explanations, at every depth of the table of texts."""

import json

import pytest

from search_r3.data.sources.home_assistant import SmartHomeText, home_assistant_pairs, read_home_assistant
from search_r3.errors import DataError

TEXTS = {
    "config": {
        "step": {
            "user": {
                "data": {"host": "Host", "port": "Port"},
                "data_description": {"host": "Address of the kettle in your network."},
                "title": "Kettle",
                "description": "A title that is the integration's says nothing.",
            }
        }
    },
    "issues": {
        "cold": {"title": "{name} is cold", "description": "See [the page]({url}) about `{pot_name}`."}
    },
    "services": {
        "boil": {
            "name": "Boil",
            "description": "Boils the water in the kettle.",
            "fields": {"time": {"name": "Time", "description": "How long it has to boil."}},
        },
        "stop": {"name": "Stop", "description": "Stops boiling."},
    },
}


def test_fields(tmp_path):
    """Settings, problems and actions with their fields; placeholders in words; short texts are skipped."""
    folder = tmp_path / "kettle"
    (folder / "translations").mkdir(parents=True)
    (folder / "translations" / "en.json").write_text(json.dumps(TEXTS))
    (folder / "manifest.json").write_text('{"name": "Kettle"}')
    assert read_home_assistant(tmp_path) == [
        SmartHomeText(
            "kettle/config/step/user/data/host", "Kettle", "Host", "Address of the kettle in your network."
        ),
        SmartHomeText("kettle/issues/cold", "Kettle", "name is cold", "See the page about pot name."),
        SmartHomeText("kettle/services/boil", "Kettle", "Boil", "Boils the water in the kettle."),
        SmartHomeText("kettle/services/boil/fields/time", "Kettle", "Boil: Time", "How long it has to boil."),
    ]


def test_pairs():
    """Queries carry the integration; negatives are of the integration; ambiguous names are left out."""
    pairs = home_assistant_pairs(
        [
            SmartHomeText("a/1", "Kettle", "Boil", "It boils."),
            SmartHomeText("a/2", "Kettle", "Pour", "It pours."),
            SmartHomeText("a/3", "Kettle", "Heat", "It heats."),
            SmartHomeText("a/4", "Kettle", "Heat", "It is hot."),
            SmartHomeText("b/1", "Lamp", "Shine", "It shines."),
        ]
    )
    assert [(pair.query, pair.positive, pair.negatives) for pair in pairs] == [
        ("Kettle: Boil", "It boils.", ("It pours.",)),
        ("Kettle: Pour", "It pours.", ("It boils.",)),
        ("Lamp: Shine", "It shines.", ()),
    ]


def test_refuses_other_folders(tmp_path):
    """A folder without texts, or a table of another kind, is an error."""
    with pytest.raises(DataError, match="holds no texts"):
        read_home_assistant(tmp_path)
    (tmp_path / "x" / "translations").mkdir(parents=True)
    (tmp_path / "x" / "translations" / "en.json").write_text("[]")
    with pytest.raises(DataError, match="is no table"):
        read_home_assistant(tmp_path)
