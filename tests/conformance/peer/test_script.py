"""Scripts read as they are meant, and say what is wrong with them if not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from conformance.peer.script import (
    CERTIFICATES,
    CURVES,
    FREE,
    HASHES,
    HONEST,
    MESSAGES,
    SEALS,
    SIGNATURES,
    TRANSCRIPTS,
    Await,
    BadScript,
    Edit,
    How,
    Script,
    Send,
    Wait,
    load,
    parse,
)

PAGE = (Path(__file__).parents[3] / "docs/scripted-peer.md").read_text()


def test_an_empty_script_is_honest() -> None:
    assert parse({}) == load("") == HONEST == Script()


def test_a_script_of_edits() -> None:
    script = load("""
        title = "all of it"
        certificate = "rsa"
        [[edits]]
        at = ["certificate", "finished"]
        nth = 0
        sending = 2
        omit = true
        insert_before = [{ send = "alert", level = 1, epoch = 0 }]
        insert_after = [{ send = "replay", of = "certificate", nth = 2 }, { send = "raw", hex = "00 ff" }]
        set = { random = "00ff", "extensions.0.type" = 7, cipher_suites = [1, 2] }
        fragments = [[0, 10], [5, -1]]
        corrupt = [0, -1]
        seal = "other"
        delay = 5
        [[edits]]
        at = "finished"
        move_before = "change-cipher-spec"
        body = "aa"
    """)
    sets = (("random", "00ff"), ("extensions.0.type", 7), ("cipher_suites", (1, 2)))
    how = How(set=sets, fragments=((0, 10), (5, -1)), corrupt=(0, -1), seal="other", delay=5)
    before = (Send("alert", level=1, how=How(epoch=0)),)
    after = (Send("replay", of="certificate", nth=2), Send("raw", hex=b"\0\xff"))
    assert script.edits == (
        Edit(
            ("certificate", "finished"), nth=0, sending=2, omit=True, insert_before=before, insert_after=after, how=how
        ),
        Edit(("finished",), move_before="change-cipher-spec", how=How(body=b"\xaa")),
    )
    assert (script.title, script.certificate) == ("all of it", "rsa")


def test_a_script_of_steps() -> None:
    steps = [{"send": "client-hello", "epoch": 1}, {"await": ["alert", "anything"], "within": 5}, {"wait": 7}]
    assert parse({"steps": steps}).steps == (
        Send("client-hello", how=How(epoch=1)),
        Await(("alert", "anything"), 5),
        Wait(7),
    )


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "script: a table is needed"),
        ({"edit": []}, "no key 'edit'; did you mean edits?"),
        ({"certificate": "owm"}, "no certificate 'owm'; did you mean own?"),
        ({"certificate": 5}, "`certificate` must be a text, not 5"),
        ({"hash": "md5"}, "no hash 'md5'"),
        ({"verify": 1}, "`verify` must be true or false, not 1"),
        ({"edits": {}}, "`edits` must be a list"),
        ({"edits": [5]}, "edit 1: a table is needed"),
        ({"edits": [{"omit": True}]}, "edit 1: `at` is missing"),
        ({"edits": [{"at": []}]}, "edit 1: `at` names no message; there are client-hello"),
        ({"edits": [{"at": "data"}, {"at": "finish"}]}, "edit 2: no at 'finish'; did you mean finished?"),
        ({"edits": [{"at": ["data", []]}]}, "edit 1: no at"),
        ({"edits": [{"at": "data", "sael": "none"}]}, "edit 1: no key 'sael'; did you mean seal"),
        ({"edits": [{"at": "data", "seal": "nine"}]}, "edit 1: no seal 'nine'; did you mean none?"),
        ({"edits": [{"at": "data", "nth": True}]}, "`nth` must be a number, not True"),
        ({"edits": [{"at": "data", "repeat": 0}]}, "`repeat` is 1 to 1000, not 0"),
        ({"edits": [{"at": "data", "epoch": 65_536}]}, "`epoch` is 0 to 65535, not 65536"),
        ({"edits": [{"at": "data", "body": "0g"}]}, "`body` is bytes in hexadecimal, not '0g'"),
        ({"edits": [{"at": "data", "set": {"x": 1.5}}]}, "edit 1, set x: a value is a number, bytes in hexadecimal"),
        ({"edits": [{"at": "data", "set": {"x": ["q"]}}]}, "edit 1, set x: `value` is bytes in hexadecimal"),
        ({"edits": [{"at": "data", "corrupt": ["0"]}]}, "`corrupt` holds numbers"),
        ({"edits": [{"at": "data", "fragments": [[0]]}]}, "pairs of offset and size"),
        ({"edits": [{"at": "data", "fragments": [[-1, 0]]}]}, "no fragment has offset -1"),
        ({"edits": [{"at": "data", "fragments": [["", 0]]}]}, "holds numbers"),
        ({"edits": [{"at": "data", "fragments": [[0, 1]], "fragment_size": 1}]}, "either `fragments` or"),
        ({"edits": [{"at": "data", "move_after": "x"}]}, "no move_after 'x'"),
        ({"edits": [{"at": "data", "move_after": "alert", "sending": 1}]}, "`sending` does not go with a move"),
        ({"edits": [{"at": "data", "insert_after": ["alert"]}]}, "edit 1, insert_after 1: a table is needed"),
        ({"edits": [{"at": "data", "insert_after": [{"send": "nothing"}]}]}, "no send 'nothing'"),
        ({"edits": [{"at": "data"}], "steps": [{"wait": 1}]}, "`edits` and `steps`"),
        ({"steps": [{}]}, "step 1: a step is a table with one of"),
        ({"steps": ["wait"]}, "step 1: a step is a table with one of"),
        ({"steps": [{"wait": 1, "send": "data"}]}, "step 1: a step is a table with one of"),
        ({"steps": [{"wait": -1}]}, "`wait` is 0 to 3600000, not -1"),
        ({"steps": [{"await": "raw"}]}, "no await 'raw'"),
        ({"steps": [{"send": "raw", "level": 1}]}, "step 1: raw has no `level`; it has hex"),
        ({"steps": [{"send": "finished", "hex": ""}]}, "finished has no `hex`; it has nothing"),
        ({"steps": [{"send": "replay"}]}, "step 1: no of None"),
        ({"steps": [{"send": "raw", "hex": "0"}]}, "`hex` is bytes in hexadecimal"),
    ],
)
def test_what_is_wrong(document: Any, words: str) -> None:
    with pytest.raises(BadScript, match=re.escape(words)):
        parse(document)


def test_not_toml() -> None:
    with pytest.raises(BadScript, match="not TOML"):
        load("[[edits]")


class TestThePage:
    """docs/scripted-peer.md names what there is."""

    def test_every_word_is_there(self) -> None:
        names = {*How.__dataclass_fields__, *Edit.__dataclass_fields__} - {"how", "at", "nth"}
        words = names | {*MESSAGES, *FREE, *SEALS, *TRANSCRIPTS, *CERTIFICATES, *SIGNATURES, *HASHES, *CURVES}
        assert [w for w in sorted(words) if f"`{w}`" not in PAGE and f"`{w} =" not in PAGE] == []

    def test_its_examples_are_scripts(self) -> None:
        examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
        assert len(examples) >= 2
        for example in examples:
            assert parse(tomllib.loads(example)) != HONEST

    def test_its_example_in_python_runs(self) -> None:
        (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        exec(compile(example, "docs/scripted-peer.md", "exec"), {})
