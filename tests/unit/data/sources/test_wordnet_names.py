"""Names in WordNet: people with their years, species with their Latin names, places and figures."""

import pytest

from search_r3.data.sources.wordnet import Synset
from search_r3.data.sources.wordnet_names import NamedSynsets
from search_r3.errors import DataError


def synset(number, lemmas, gloss="x", *above):
    return Synset(f"n{number}", "n", tuple(lemmas.split(", ")), gloss, (), tuple(f"n{key}" for key in above))


SYNSETS = [
    synset(1, "person"),
    synset(2, "physicist", "a scientist", 1),
    synset(3, "Einstein, Albert Einstein", "physicist born in Germany; he also played (1879-1955)", 2),
    synset(4, "Caesar, Gaius Julius Caesar", "United States general (100-44 BC)", 1),
    synset(5, "Gell-Mann, Murray Gell-Mann", "American physicist (born in 1929)", 2),
    synset(6, "Secretary of State", "who heads a department", 1),
    synset(7, "animal"),
    synset(8, "bird", "has wings", 7),
    synset(9, "owl", "hunts at night", 8),
    synset(10, "scops owl, little owl, Otus scops", "small owl", 9),
    synset(11, "Otus, genus Otus", "genus"),
    synset(12, "Irish setter, Irish dog", "a dog", 7),
    synset(13, "body of water"),
    synset(14, "river", "flows", 13),
    synset(15, "Thames, River Thames", "longest river in England; it flows east", 14),
    synset(16, "imaginary being"),
    synset(17, "mythical being", "of a myth", 16),
    synset(18, "Priam", "(Greek mythology) the last king of Troy", 17),
    synset(19, "event"),
    synset(20, "battle", "a fight", 19),
    synset(21, "Waterloo, Battle of Waterloo", "the battle on 18 June 1815", 20),
]
NAMES = NamedSynsets(SYNSETS)


def test_people():
    """The longest name is the name; years and what was done are told apart."""
    einstein, caesar, gell_mann = sorted(NAMES.people(), key=lambda record: int(record.record_id[1:]))
    assert einstein.name == "Albert Einstein"
    assert einstein.fields == {
        "birth": "1879",
        "death": "1955",
        "occupation": "physicist",
        "an_occupation": "a physicist",
        "surname": "Einstein",
        "short": "a physicist born in Germany",
        "description": "a physicist born in Germany; he also played",
    }
    assert (caesar.fields["birth"], caesar.fields["death"]) == ("100 BC", "44 BC")
    assert caesar.fields["short"] == "an American general"
    assert gell_mann.fields["birth"] == "1929"
    assert "death" not in gell_mann.fields


def test_species():
    """A Latin name has a genus that WordNet knows; Irish setter is none."""
    (owl,) = NAMES.species()
    assert owl.name == "scops owl"
    assert owl.fields == {
        "scientific": "Otus scops",
        "genus": "Otus",
        "kind": "owl",
        "a_kind": "an owl",
        "class": "bird",
        "alias": "little owl",
        "description": "small owl",
    }
    assert owl.groups == ("owl", "bird", "Otus")


def test_places_figures_and_battles():
    """Names of other things, with the kind they are of, and the field of a legend."""
    (thames,), (priam,), (waterloo,) = NAMES.places(), NAMES.figures(), NAMES.events()
    assert (thames.name, thames.fields["alias"], thames.fields["kind"]) == ("Thames", "River Thames", "river")
    assert thames.fields["short"] == "longest river in England"
    assert (priam.fields["field"], priam.fields["description"]) == (
        "Greek mythology",
        "the last king of Troy",
    )
    assert (waterloo.name, waterloo.groups) == ("Waterloo", ("battle", "battle"))


def test_without_names_there_is_no_record():
    """A WordNet of common nouns is an error."""
    with pytest.raises(DataError, match="no record of people"):
        NamedSynsets(SYNSETS[:2]).people()
