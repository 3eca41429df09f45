"""The mutation matrix: what it takes for a mutant, what it builds, which case kills it, and what it remembers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.mutation import survivors
from conformance.mutation.__main__ import main
from conformance.mutation.build import PLAIN, NotBuilt, Workshop
from conformance.mutation.catalogue import Mutant, automatic, without_comments, written
from conformance.mutation.judging import Task
from conformance.mutation.matrix import Bench, compare, draw, sharpest
from conformance.mutation.page import bar, page, unexplained
from conformance.mutation.results import UNBUILT, Explained, Kill, Matrix, Other, Result, Sample
from conformance.purpose import Purpose, load_purposes
from conformance.targets.base import HarnessError

ROOT = Path(__file__).parents[3]
FIRMWARE = ROOT / "firmware"
TOOL = ROOT / "build/mutator"
WRITTEN = ROOT / "tests/firmware/mutants.toml"
SOME = ("bad-magic", "broadcast", "faa-idle", "unregistered-16")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    mbedtls = Path(os.environ.get("MBEDTLS_DIR") or ROOT / "build/mbedtls")
    return Workshop(FIRMWARE, mbedtls.resolve(), tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def purposes() -> list[Purpose]:
    return [purpose for purpose in load_purposes() if purpose.id in SOME]


def mutated(file: str, old: str, new: str, name: str = "a-mutant") -> Mutant:
    text = (FIRMWARE / "src" / file).read_text("utf-8")
    assert text.count(old) == 1
    return Mutant(name, f"{old} -> {new}", file, text.replace(old, new), 1)


def deaf(name: str = "a-mutant") -> Mutant:
    """It never finds a frame."""
    return mutated("scewl.c", "reader->have == 1 && *at == 'C'", "reader->have == 1 && *at == 'X'", name)


# --- what there is ----------------------------------------------------------------------------------------------------


def test_every_written_mutant_applies() -> None:
    found = written(WRITTEN, FIRMWARE / "src")
    assert len(found) > 60 and len({m.id for m in found}) == len(found)
    for mutant in found:
        lines = (FIRMWARE / "src" / mutant.file).read_text("utf-8").splitlines()
        assert mutant.text.splitlines()[: mutant.line - 1] == lines[: mutant.line - 1], mutant.id
        assert mutant.text.splitlines()[mutant.line - 1 :] != lines[mutant.line - 1 :], mutant.id
        assert mutant.case and mutant.rule


def test_a_text_that_is_not_there_is_named(tmp_path: Path) -> None:
    page = tmp_path / "m.toml"
    entry = '[[mutant]]\nid = "x"\nsays = "s"\nfile = "text.c"\nold = "{}"\nnew = ""\ncase = "c"\nrule = "r"\n'
    page.write_text(entry.format("no such text"), "utf-8")
    with pytest.raises(HarnessError, match=r"mutant x: its `old` occurs 0 times in .*text\.c"):
        written(page, FIRMWARE / "src")
    page.write_text("[[mutant]]\nid = 1", "utf-8")
    with pytest.raises(HarnessError, match="not a list of mutants"):
        written(page, FIRMWARE / "src")


def test_comments_go_and_lines_and_strings_stay() -> None:
    text = 'a /* b\n c */ d; // e\n"/* no */ \\" // no" \'"\' /* f */ g\n'
    assert without_comments(text) == 'a\n d;\n"/* no */ \\" // no" \'"\'   g\n'


def test_the_tool_mutates_lines_that_bear_comments_and_ids_do_not_depend_on_the_place(tmp_path: Path) -> None:
    sources = tmp_path / "src"
    sources.mkdir()
    (sources / "a.c").write_text("int f(int a) {\n    return a + 1; /* why */\n}\n", "utf-8")
    found = {m.id: m for m in automatic(sources, TOOL)}
    assert "`return a + 1;` -> `return a - 1;`" in {m.says for m in found.values() if m.line == 2}
    (sources / "a.c").write_text("\n\nint f(int a) {\n    return a + 1;\n}\n", "utf-8")
    moved = {m.id: m for m in automatic(sources, TOOL)}
    assert moved.keys() == found.keys()
    assert all(moved[name].line == found[name].line + 2 for name in found)


def test_without_the_tool_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="`make mutants` installs it"):
        automatic(FIRMWARE / "src", tmp_path)


# --- what is built ----------------------------------------------------------------------------------------------------


def test_object_code_tells_the_same_program_from_another_one(workshop: Workshop) -> None:
    one = "return a + 1;"
    right = (FIRMWARE / "src/text.c").read_text("utf-8")
    assert one not in right
    mutants = [
        Mutant("text-same", "", "text.c", right.replace("\n}\n", "\n;}\n"), 1),
        Mutant("text-other", "", "text.c", right + "\nint more(void);\nint more(void) { return 1; }\n", 1),
        Mutant("text-wrong", "", "text.c", right + "\nthis is no C\n", 1),
        Mutant("text-unlinked", "", "text.c", right + "\nint more(void);\nint more(void) { return nobody(1); }\n", 1),
    ]
    codes = workshop.codes(mutants, 2)
    assert codes["text-same"] == codes["text.c"] != codes["text-other"]
    assert "text-wrong" not in codes and "text-unlinked" not in codes
    assert {path.name for path in (FIRMWARE / "src").glob("*.c")} <= codes.keys()


def test_a_sample_has_one_of_each_line_first_and_only_new_programs(workshop: Workshop) -> None:
    right = (FIRMWARE / "src/text.c").read_text("utf-8")

    def add(name: str, line: int, more: str) -> Mutant:
        return Mutant(name, "", "text.c", right + more, line)

    made = [
        add("text-1", 1, "\nint one(void);\nint one(void) { return 1; }\n"),
        add("text-2", 1, "\nint two(void);\nint two(void) { return 2; }\n"),
        add("text-3", 2, "\nno C\n"),
        add("text-4", 3, "\n"),
        add("text-5", 4, "\nint one(void);\nint one(void) { return 1; }\n"),
        add("text-6", 5, "\nint six(void);\nint six(void) { return 6; }\n"),
    ]
    sample, chosen = draw(made, 3, workshop, 2)
    assert [m.id for m in chosen] == ["text-1", "text-6", "text-2"]
    assert (sample.made, sample.lines, sample.drawn) == (6, 5, 6)
    assert (sample.refused, sample.same, sample.double) == (1, 1, 1)


def test_only_the_changed_file_is_compiled_and_what_does_not_compile_is_said(workshop: Workshop) -> None:
    workshop.prepare(PLAIN)
    program = workshop.program(deaf(), PLAIN)
    right = next(workshop.folder.glob("right-*"))
    fresh = {p.name for p in program.parent.glob("*.o") if p.stat().st_mtime_ns != (right / p.name).stat().st_mtime_ns}
    assert fresh == {"scewl.o", "firmware.o"}
    workshop.discard(deaf())
    with pytest.raises(NotBuilt, match=r"undeclared|expected"):
        workshop.program(mutated("scewl.c", "reader->have == 1 && *at == 'C'", "this is no C"), PLAIN)


# --- what is judged ---------------------------------------------------------------------------------------------------


def judge(workshop: Workshop, purposes: Sequence[Purpose], *mutants: Mutant, stop: bool = False) -> list[Result]:
    told: list[tuple[str, bool]] = []
    bench = Bench(workshop, purposes, 1, lambda _done, _total, r, known: told.append((r.id, known)))
    found = bench.judge(mutants, stop=stop)
    assert {name for name, _ in told} == {m.id for m in mutants}
    return found


def known(workshop: Workshop, purposes: Sequence[Purpose], mutant: Mutant) -> bool:
    told: list[bool] = []
    Bench(workshop, purposes, 1, lambda *args: told.append(args[3])).judge([mutant], stop=False)
    return told == [True]


def test_a_mutant_is_killed_by_the_cases_that_do_not_pass_and_the_cheapest_is_kept(
    workshop: Workshop, purposes: list[Purpose]
) -> None:
    loose = mutated("scewl.c", "reader->have == 1 && *at == 'C'", "reader->have == 1", "loose")
    some, every = judge(workshop, purposes, loose, deaf())
    assert some.killers == {"bad-magic": "FAIL"} and every.killers == dict.fromkeys(SOME, "FAIL")
    result = every
    assert result.run == some.run == len(SOME) and result.killed and not result.error
    assert result.cheapest is not None
    assert result.cheapest.virtual_ms == 0 and result.cheapest.requirements
    trace = [json.loads(line) for line in (workshop.folder / "a-mutant.native.jsonl").read_text("utf-8").splitlines()]
    assert (trace[0]["case"], trace[-1]["verdict"]) == (result.cheapest.case, "FAIL")
    assert not (workshop.folder / "a-mutant").exists()


def test_what_was_judged_is_remembered_as_long_as_nothing_changed(workshop: Workshop, purposes: list[Purpose]) -> None:
    judge(workshop, purposes[1:], deaf("again"))
    assert known(workshop, purposes[1:], deaf("again"))
    assert known(workshop, purposes[2:], deaf("again"))
    assert not known(workshop, purposes, deaf("again"))  # one case is missing, and has been run now
    assert known(workshop, purposes, deaf("again"))
    other_purpose = replace(purposes[0], steps=purposes[0].steps[:1])
    assert not known(workshop, [other_purpose, *purposes[1:]], deaf("again"))
    other = mutated("scewl.c", "reader->have == 1 && *at == 'C'", "reader->have == 1 && *at == 'Y'", "again")
    assert not known(workshop, purposes, other)


def test_at_the_first_fail_it_may_stop(workshop: Workshop, purposes: list[Purpose]) -> None:
    (result,) = judge(workshop, purposes, deaf("stopped"), stop=True)
    assert list(result.killers.values()) == ["FAIL"] and result.run < len(SOME)


def test_what_does_nothing_survives(workshop: Workshop, purposes: list[Purpose]) -> None:
    (result,) = judge(workshop, purposes, mutated("scewl.c", "reader->have == 1 &&", "1 == reader->have &&", "nothing"))
    assert not result.killed and result.run == len(SOME) and result.killers == {}


def test_one_that_computes_for_ever_is_given_up(
    workshop: Workshop, purposes: list[Purpose], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.mutation.judging.HANG_S", 0.5)
    monkeypatch.setattr("conformance.mutation.judging._HANGS", 2)
    (result,) = judge(
        workshop, purposes, mutated("scewl.c", "reader->have == 1 && *at == 'C'", "({ for (;;) {} 1; })", "busy")
    )
    assert result.hangs and result.run == 2 and result.killed


def test_a_mutant_that_does_not_build_is_an_error_and_no_kill(workshop: Workshop, purposes: list[Purpose]) -> None:
    (result,) = judge(workshop, purposes, mutated("scewl.c", "reader->have == 1 &&", "no C", "unbuilt"))
    assert result.error.startswith("does not build") and not result.killed


def test_a_mutants_own_case_comes_first(workshop: Workshop, purposes: list[Purpose]) -> None:
    bench = Bench(workshop, purposes, 1, lambda *_: None)
    assert [p.id for p in bench._order(["unregistered-16", "faa-idle", "unregistered-16", "no-such"])][:2] == [
        "unregistered-16",
        "faa-idle",
    ]
    assert sorted(p.id for p in bench._order(["unregistered-16"])) == sorted(SOME)


def test_a_result_that_was_cut_off_is_judged_again(workshop: Workshop, purposes: list[Purpose]) -> None:
    task = Task(deaf("cut"), workshop, purposes, "a key", stop=True)
    task.kept.write_text('{"key": "a key", "cases": {"id"', "utf-8")
    assert task.known() is None
    assert task.run() == task.known()


# --- what is said -----------------------------------------------------------------------------------------------------


def made(name: str, *killers: str, verdict: str = "FAIL", **more: str) -> Result:
    kill = Kill(killers[0], verdict, 7_000, 12, ["SES-7", "DTL-6"], "why | so") if killers else None
    return Result(name, f"says {name}", "dtls.c", 7, 374, dict.fromkeys(killers, verdict), kill, **more)  # type: ignore[arg-type]


def a_matrix() -> Matrix:
    sample = Sample(1_000, 100, 6, 1, 1, 1, [made("a-1", "glare"), made("a-2"), made("a-3"), made("a-4")])
    sample.explained = [
        Explained("a-2", "equivalent", "the bound is never reached"),
        Explained("a-3", "gap", "nobody has looked"),
    ]
    found = [made("no-yield", "glare", "ring", case="glare", rule="DTL-6"), made("alive")]
    return Matrix("purposes", 374, found, sample, [Other("no-yield", 2, {"ring": "FAIL here, PASS in QEMU"})])


def test_the_matrix_comes_back_from_its_file_and_the_page_has_all_of_it(tmp_path: Path) -> None:
    matrix = a_matrix()
    (tmp_path / "m.json").write_text(matrix.to_json(), "utf-8")
    assert Matrix.load(tmp_path / "m.json") == matrix
    text = page(matrix)
    assert "| no-yield | dtls.c:7 | says no-yield | 2 of 374 | glare | 7.000 | DTL-6 SES-7 |" in text
    assert "| alive | dtls.c:7 | says alive | 0 of 374 | **survives** | |  |" in text
    assert "1 of 4 killed, 50.0% killed or need no case" in text
    assert "| a-4 | dtls.c:7 | says a-4 | **unexplained** |" in text
    assert "| all | 4 | 1 | 1 | 0 | 1 | 1 |" in text
    assert "0 of 1 tried have the same verdict in every case" in text and "ring: FAIL here, PASS in QEMU" in text
    (tmp_path / "m.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match="no mutation matrix"):
        Matrix.load(tmp_path / "m.json")


def test_an_automatic_mutant_that_does_not_link_counts_as_refused_and_any_other_error_stays() -> None:
    sample = Sample(1_000, 100, 6, 1, 1, 1)
    broken, unbuilt = made("b-1", error="the harness broke"), made("b-2", error=UNBUILT + "no main")
    sample.take([made("a-1", "glare"), broken, unbuilt])
    assert ([r.id for r in sample.judged], sample.refused) == (["a-1", "b-1"], 2)


def test_a_gap_is_no_excuse() -> None:
    sample = a_matrix().automatic
    assert sample is not None
    assert bar(sample) == 0.5
    assert [r.id for r in unexplained(sample)] == ["a-4"]


def test_the_sharpest_cases_kill_everything() -> None:
    results = [
        made("1", "a", "b"),
        made("2", "b", "c"),
        made("3", "c"),
        made("4"),
        made("5", "d", verdict="INCONCLUSIVE"),
    ]
    assert sharpest(results) == ["b", "c"]


def test_what_differs_in_qemu_is_told_case_by_case() -> None:
    there = Result("x", "", "dtls.c", 1, 374, {"a": "FAIL", "c": "FAIL"})
    (other,) = compare([made("x", "a", "b")], [there])
    assert other.differ == {"b": "FAIL here, PASS in QEMU", "c": "PASS here, FAIL in QEMU"}


@pytest.mark.parametrize(
    "entry",
    [
        'ids = ["a"]\nkind = "fine"\nbecause = "so"',
        'ids = ["a"]\nkind = "equivalent"\nbecause = " "',
        'ids = ["a"]\nkind = "elsewhere"\nbecause = "so"',
        'ids = ["a", "a"]\nkind = "gap"\nbecause = "so"',
        'kind = "gap"\nbecause = "so"',
    ],
)
def test_an_explanation_has_to_say_something(tmp_path: Path, entry: str) -> None:
    file = tmp_path / "survivors.toml"
    file.write_text(f"[[survivors]]\n{entry}\n", "utf-8")
    with pytest.raises(HarnessError, match="not a list of survivors"):
        survivors.load(file)


def test_the_command_writes_the_matrix_and_goes_on_where_it_was(
    tmp_path: Path, workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    words = [
        "--only",
        "no-yield",
        "--first",
        "-j",
        "1",
        "--work",
        str(tmp_path / "work"),
        "--report",
        str(tmp_path / "m"),
    ]
    assert main(words) == 0
    (result,) = Matrix.load(tmp_path / "m.json").written
    assert result.id == "no-yield" and result.cheapest is not None and result.cheapest.case == "glare-lower"
    first = (tmp_path / "m.json").read_bytes(), (tmp_path / "m.md").read_bytes()
    assert main(words) == 0
    assert "killed by glare-lower (known)" in capsys.readouterr().err
    assert first == ((tmp_path / "m.json").read_bytes(), (tmp_path / "m.md").read_bytes())
    assert main(["--only", "no-such"]) == 3
    assert "no mutant no-such" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "work")
