"""Purpose files: all of ours are sound, and a bad one is refused with what, where and what instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance import cast
from conformance.purpose import FOLDER, RESPONSES, STEPS, BadPurpose, load, load_purposes, parse
from conformance.report.requirements import load_requirements, load_standards


def document(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "t", "requirements": ["SES-2"], "steps": list(steps)} | more


def test_all_purposes_load_and_cite_rules_of_the_page() -> None:
    purposes = load_purposes()
    assert len(purposes) == len(list(FOLDER.rglob("*.toml"))) > 80
    known = load_requirements() | load_standards()
    for purpose in purposes:
        assert purpose.requirements, purpose.id
        assert set(purpose.requirements) <= known.keys(), purpose.id
        assert purpose.title, purpose.id
        assert purpose.about, purpose.id


def test_every_kind_of_step_is_used_by_some_purpose() -> None:
    assert {s.kind for p in load_purposes() for s in p.steps} == set(STEPS)


def test_every_response_that_a_purpose_may_name_can_be_given_and_is_used() -> None:
    assert set(RESPONSES) == cast.RESPONSES.keys() == {p.response for p in load_purposes()}


def test_a_purpose_survives_its_trace() -> None:
    for purpose in load_purposes():
        assert parse(purpose.id, purpose.document()) == purpose


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (document({"do": "sned", "to": 11, "size": 1}), "step 1: no do 'sned'; did you mean send"),
        (document({"do": "send", "to": 11}), r"step 1 \(send\): `size` is missing"),
        (document({"do": "send", "to": "11", "size": 1}), "`to` must be int, not '11'"),
        (document({"do": "send", "to": True, "size": 1}), "`to` must be int, not True"),
        (document({"do": "send", "too": 11, "size": 1}), "no key 'too'; did you mean to"),
        (document({"do": "wait"}), "say either `ms` or `until`"),
        (document({"do": "wait", "until": "idel"}), "no until 'idel'; did you mean idle"),
        (document({"do": "lose"}), "name either a flight"),
        (document({"do": "lose", "flight": 1, "record": "data"}), "name either a flight"),
        (document({"do": "inject", "link": "radio"}), "give either `raw`"),
        (document({"do": "inject", "link": "radio", "raw": "5"}), "not hexadecimal"),
        (document({"do": "expect", "what": "mesage"}), "did you mean message"),
        (document(**{"steps": ["send"]}), "a step is a table"),
        (document(peers=[{"id": 11, "credentials": "forein"}]), "did you mean foreign"),
        (document(peers=[{}]), "peer 1: `id` is missing"),
        (document(response="bad-kye"), "did you mean bad-key"),
        ({"title": "t", "steps": []}, "`requirements` is missing"),
        (document(title=5), "`title` must be str"),
        (document({"do": "send", "by": 77, "to": 11, "size": 1}), "`by` must be a SED of this purpose; 77 is none"),
        (document({"do": "register", "by": 1}), "`by` must be a SED of this purpose; 1 is none"),
        (document({"do": "expect", "what": "nothing", "at": 11}), "`at` must be a SED of this purpose; 11 is none"),
        (document({"do": "boot", "by": 1}), "`by` must be a SED of this purpose; 1 is none"),
        (document({"do": "replay", "of": 11}), "`of` must be a SED of this purpose; 11 is none"),
        (document({"do": "replay"}), r"step 1 \(replay\): `of` is missing"),
        (document({"do": "respond", "response": "bad-kye"}), "did you mean bad-key"),
        (document({"do": "restart", "who": 1}), "no key 'who'"),
        (document({"do": "silence", "who": 11}), "`who` must be the SSS or a peer; 11 is none"),
        (document({"do": "send", "to": 11, "size": -1}), "`size` is 0 to 65535, not -1"),
        (document({"do": "send", "to": 1, "size": 1}), "`to` is 3 to 65535, not 1"),
        (document({"do": "lose", "flight": 7}), "`flight` is 1 to 6, not 7"),
        (document({"do": "wait", "ms": 0}), "`ms` is 1 to 3600000, not 0"),
        (document(iut=2), "need ids of 3 to 65535"),
        (document(peers=[{"id": 10}]), "need ids of 3 to 65535, each once"),
        (document(removed=[11]), "`removed` names a device"),
        (document({"do": "expect", "what": "reaction", "said": [""]}), "`at` is missing: which peer, or the SSS"),
        (document({"do": "expect", "what": "reaction", "at": 1}), "`said` and a `reaction` belong together"),
        (document({"do": "expect", "what": "nothing", "said": [""]}), "`said` and a `reaction` belong together"),
        (document({"do": "expect", "what": "reaction", "at": 1, "said": []}), "`said` is a list of texts"),
        (document({"do": "expect", "what": "reaction", "at": 1, "said": ["flight7"]}), "no said 'flight7'"),
        (document({"do": "expect", "what": "reaction", "at": 1, "said": ["alert"]}), "have codes, unlike 'alert'"),
        (document({"do": "expect", "what": "reaction", "at": 1, "said": ["flight4 x"]}), "have codes, unlike"),
        (document({"do": "expect", "what": "reaction", "at": 1, "said": ["alert bad_ca"]}), "did you mean bad_"),
        (document({"do": "expect", "what": "session", "at": 11}), "`at` must be a SED of this purpose; 11 is none"),
        (document({"do": "expect", "what": "answer", "at": 1}), "`at` must be a SED of this purpose; 1 is none"),
        (document(peers=[{"id": 11, "script": {"edits": [{"at": "finnished"}]}}]), "peer 1: edit 1: no at 'finnished'"),
        (document(peers=[{"id": 11, "credentials": "two-names"}]), "no credentials 'two-names'"),
        (document(sss={"certificate": "bad"}), "sss: script: no certificate 'bad'"),
        (document(evidence=[{"epok": 1}]), "evidence 1: no key 'epok'; did you mean epoch"),
        (document(evidence=[{"epoch": "1"}]), "`epoch` must be int"),
        (document(evidence=[{"hex": "0A"}]), "`hex` is not hexadecimal, in small letters"),
    ],
)
def test_a_bad_purpose_is_refused_with_what_where_and_what_instead(bad: dict[str, Any], told: str) -> None:
    with pytest.raises(BadPurpose, match=told):
        parse("p", bad)


def test_ids_are_there_once_and_requirements_exist(tmp_path: Path) -> None:
    text = 'title = "t"\nrequirements = ["RFC6347-41"]\nsteps = []\n'
    (tmp_path / "below").mkdir()
    (tmp_path / "p.toml").write_text(text)
    assert [p.id for p in load_purposes(tmp_path)] == ["p"]
    (tmp_path / "below/p.toml").write_text(text)
    with pytest.raises(BadPurpose, match="there is another purpose p"):
        load_purposes(tmp_path)
    (tmp_path / "below/p.toml").unlink()
    (tmp_path / "below/q.toml").write_text(text.replace("-41", "-46"))
    with pytest.raises(BadPurpose, match=r"q\.toml: no requirement 'RFC6347-46'; did you mean"):
        load_purposes(tmp_path)


def test_a_bad_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    with pytest.raises(BadPurpose, match=r"p\.toml: No such file"):
        load(path)
    path.write_text("title = ")
    with pytest.raises(BadPurpose, match=r"p\.toml: not TOML"):
        load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadPurpose, match=r"p\.toml: not TOML"):
        load(path)
