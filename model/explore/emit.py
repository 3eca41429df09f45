"""The generated C: what depends on the system, and nothing else. The search itself is `explorer.c`.

Guards that share a conjunct stand under one `if`, those that compare one variable with constants under one `switch`, so
that most actions cost nothing in most states. A subterm that occurs more than once is computed once in the block that
needs it, and not at all where no enclosing guard holds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from model.explore.layout import Layout, Permutation
from model.explore.nodes import Graph, Node
from model.system.base import Kind, System
from model.terms import Term

PART = 40
"""Leaves in one C function: the compiler's time grows faster than a function."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """What is done where all conjuncts hold: `body` writes it."""

    conjuncts: tuple[Node, ...]
    body: Callable[[Writer], None]
    terms: tuple[Node, ...] = ()
    """What the body computes."""


class Writer:
    """Lines of C, with the names of the subterms that the enclosing blocks have computed."""

    def __init__(self, layout: Layout, leaves: Iterable[Leaf]) -> None:
        self.lines: list[str] = []
        self._layout = layout
        self._scopes: list[dict[Node, str]] = [{}]
        self._shared = shared([n for leaf in leaves for n in (*leaf.conjuncts, *leaf.terms)])

    def line(self, text: str) -> None:
        """One line, indented."""
        self.lines.append("    " * len(self._scopes) + text)

    @contextmanager
    def block(self, opening: str, closing: str = "}") -> Iterator[None]:
        """A block, in which names live."""
        self.line(opening)
        self._scopes.append({})
        yield
        self._scopes.pop()
        self.line(closing)

    def expression(self, node: Node) -> str:
        """A term in C. Shared subterms are computed before, in lines of their own."""
        for scope in self._scopes:
            if node in scope:
                return scope[node]
        text = self._text(node)
        if node not in self._shared:
            return text
        self._scopes[-1][node] = f"t{node.number}"
        self.line(f"const int32_t t{node.number} = {text};")
        return f"t{node.number}"

    def _text(self, node: Node) -> str:
        if node.op == "constant":
            return str(node.value)
        if node.op == "variable":
            return field(self._layout, node.value)
        args = [self.expression(a) for a in node.args]
        match node.op:
            case "not" if node.args[0].op == "==" and node.args[0] not in self._shared:
                a, b = node.args[0].args
                return f"({self.expression(a)} != {self.expression(b)})"
            case "not":
                return f"!{args[0]}"
            case "if":
                return f"({args[0]} ? {args[1]} : {args[2]})"
            case "and" | "or":
                return "(" + (" && " if node.op == "and" else " || ").join(args) + ")"
        return "(" + f" {node.op} ".join(args) + ")"


def field(layout: Layout, variable: int) -> str:
    """A variable's value, out of the words."""
    f = layout.fields[variable]
    value = f"(int32_t)(s{f.word} >> {f.shift} & {(1 << f.bits) - 1})"
    return f"({value} + {f.low})" if f.low else value


def shared(roots: Sequence[Node]) -> set[Node]:
    """The terms worth a name of their own: used more than once, and more than a comparison with a constant."""
    uses: Counter[Node] = Counter()
    stack = list(roots)
    while stack:
        node = stack.pop()
        uses[node] += 1
        if uses[node] == 1:
            stack.extend(node.args)
    return {node for node, count in uses.items() if count > 1 and node.size > 1}


def tested(node: Node) -> int | None:
    """The variable that a conjunct compares with one constant."""
    if node.op == "==" and node.args[0].op == "variable" and node.args[1].constant:
        return node.args[0].value
    return None


def write(writer: Writer, leaves: Sequence[Leaf]) -> None:
    """The leaves as nested tests."""
    left = list(leaves)
    while left:
        tests = Counter(v for leaf in left for v in {tested(n) for n in leaf.conjuncts} if v is not None)
        common = Counter(n for leaf in left for n in leaf.conjuncts)
        variable, covered = max(tests.items(), key=lambda x: (x[1], -x[0]), default=(0, 0))
        node, holders = max(common.items(), key=lambda x: (x[1], -x[0].number), default=(None, 0))
        if covered > 1 and covered > holders:
            left = _switch(writer, left, variable)
        elif node is not None and holders > 1:
            inside = [_without(leaf, node) for leaf in left if node in leaf.conjuncts]
            with writer.block(f"if ({writer.expression(node)}) {{"):
                write(writer, inside)
            left = [leaf for leaf in left if node not in leaf.conjuncts]
        else:
            for leaf in left:
                _alone(writer, leaf, sorted(leaf.conjuncts, key=lambda n: (n.size, n.number)))
            return


def _without(leaf: Leaf, node: Node) -> Leaf:
    return Leaf(tuple(n for n in leaf.conjuncts if n is not node), leaf.body, leaf.terms)


def _alone(writer: Writer, leaf: Leaf, conjuncts: list[Node]) -> None:
    if not conjuncts:
        with writer.block("{"):
            leaf.body(writer)
        return
    cheap = [n for n in conjuncts if n.size <= 1] or conjuncts[:1]
    with writer.block(f"if ({' && '.join(writer.expression(n) for n in cheap)}) {{"):
        _alone(writer, leaf, [n for n in conjuncts if n not in cheap])


def _switch(writer: Writer, leaves: list[Leaf], variable: int) -> list[Leaf]:
    """Write those leaves that test the variable; return the others."""
    cases: dict[int, list[Leaf]] = defaultdict(list)
    rest = []
    for leaf in leaves:
        test = next((n for n in leaf.conjuncts if tested(n) == variable), None)
        if test is None:
            rest.append(leaf)
        else:
            cases[test.args[1].value].append(_without(leaf, test))
    with writer.block(f"switch ({field(writer._layout, variable)}) {{"):
        for value, inside in sorted(cases.items()):
            with writer.block(f"case {value}: {{", "} break;"):
                write(writer, inside)
    return rest


def functions(name: str, layout: Layout, leaves: Sequence[Leaf], parameters: str, arguments: str) -> str:
    """A C function `name` over a state, which does the leaves, in parts of a bearable size."""
    words = ", ".join(f"const uint64_t s{i}" for i in range(layout.words))
    given = ", ".join(f"s[{i}]" for i in range(layout.words))
    text, calls = [], []
    for number, part in enumerate(_parts(leaves)):
        writer = Writer(layout, part)
        write(writer, part)
        unused = "".join(f"    (void)s{i};\n" for i in range(layout.words))
        text.append(f"static void {name}_{number}({words}, {parameters})\n{{\n{unused}")
        text.append("\n".join(writer.lines) + "\n}\n\n")
        calls.append(f"    {name}_{number}({given}, {arguments});\n")
    text.append(f"static inline void {name}(const uint64_t *s, {parameters})\n{{\n    (void)s, (void)w;\n")
    return "".join([*text, *calls, "}\n\n"])


def _parts(leaves: Sequence[Leaf]) -> Iterator[list[Leaf]]:
    """Leaves that test the same variable stay together, as far as `PART` allows."""
    tests = Counter(v for leaf in leaves for v in {tested(n) for n in leaf.conjuncts} if v is not None)

    def key(leaf: Leaf) -> tuple[int, int, int]:
        found = [(tests[v], v, n.args[1].value) for n in leaf.conjuncts if (v := tested(n)) is not None]
        return max(found, default=(0, 0, 0))

    ordered = sorted(leaves, key=key)
    for i in range(0, len(ordered), PART):
        yield ordered[i : i + PART]


def action(graph: Graph, layout: Layout, system: System, number: int) -> Leaf | None:
    """One action as a leaf: count it, and write the state after it. None if it can never happen."""
    step = system.symbolic[number]
    guard = graph.term(step.guard)
    if guard is graph.false:
        return None
    index = {name: i for i, name in enumerate(system.names)}
    for name in step.update:
        graph.variable(name)  # a name that does not exist is an error
    changes = {index[n]: graph.term(t) for n, t in step.update.items()}
    changes = {i: node for i, node in changes.items() if node is not graph.variable(system.names[i])}

    def body(writer: Writer) -> None:
        writer.line(f"w->taken[{number}]++;")
        parts: dict[int, list[str]] = defaultdict(list)
        kept = [(1 << 64) - 1] * layout.words
        for i, node in sorted(changes.items()):
            f = layout.fields[i]
            value = writer.expression(node)
            if node.low < f.low or node.high > f.high:
                writer.line(f"const int32_t n{i} = {value};")
                writer.line(f"if ((uint32_t)(n{i} - ({f.low})) > {f.high - f.low}u) wrong(w, {number}, {i}, n{i});")
                value = f"n{i}"
            kept[f.word] &= ~f.mask
            offset = f"({value} - ({f.low}))" if f.low else value
            parts[f.word].append(f"(uint64_t)(uint32_t){offset} << {f.shift}")
        writer.line("Candidate *c = w->next++;")
        writer.line(f"c->action = {number};")
        for word in range(layout.words):
            old = [f"(s{word} & {kept[word]:#x}u)"] if parts[word] else [f"s{word}"]
            writer.line(f"c->word[{word}] = {' | '.join(old + parts[word])};")

    return Leaf(guard.conjuncts, body, tuple(changes.values()))


def question(graph: Graph, term: Term, number: int) -> Leaf | None:
    """A leaf that notes the first state in which a term holds."""
    node = graph.term(term)
    if node is graph.false:
        return None
    return Leaf(node.conjuncts, lambda writer: writer.line(f"first(w, {number}, index);"))


def goal(graph: Graph, term: Term, number: int) -> Leaf | None:
    """A leaf that sets a bit in every state in which a term holds."""
    node = graph.term(term)
    if node is graph.false:
        return None
    return Leaf(node.conjuncts, lambda writer: writer.line(f"w->goals |= (Goals)1 << {number};"))


def images(layout: Layout, permutations: Sequence[Permutation]) -> str:
    """C functions that write a state's images, and the table of them."""
    text = []
    for number, permutation in enumerate(permutations):
        moves: Counter[tuple[int, int, int]] = Counter()  # (to word, from word, shift to the left): mask
        for i, target in enumerate(permutation):
            f, g = layout.fields[i], layout.fields[target]
            moves[g.word, f.word, g.shift - f.shift] |= f.mask
        text.append(f"static void image_{number}(const uint64_t *s, uint64_t *r)\n{{\n")
        for word in range(layout.words):
            terms = [
                f"(s[{source}] & {mask:#x}u) {'<<' if shift >= 0 else '>>'} {abs(shift)}"
                for (to, source, shift), mask in sorted(moves.items())
                if to == word and mask
            ]
            text.append(f"    r[{word}] = {' | '.join(terms) or '0'};\n")
        text.append("}\n\n")
    names = ", ".join(f"image_{i}" for i in range(len(permutations)))
    if permutations:
        text.append(f"static void (*const images[])(const uint64_t *, uint64_t *) = {{{names}}};\n")
    return "".join(text)


def constants(layout: Layout, system: System, questions: int, kinds: Sequence[Kind], permutations: int) -> str:
    """`constants.h`: the sizes that the search's types depend on. `kinds` are those of the goals."""
    goal_bits = next(b for b in (8, 16, 32, 64) if len(kinds) <= b)
    masks = {kind: sum(1 << i for i, k in enumerate(kinds) if k is kind) for kind in Kind}
    return (
        f"#define WORDS {layout.words}\n"
        f"#define ACTIONS {max(1, len(system.actions))}\n"
        f"#define QUESTIONS {max(1, questions)}\n"
        f"#define GOALS {len(kinds)}\n"
        f"#define POSSIBLE ((Goals){masks[Kind.POSSIBLE]:#x}u)\n"
        f"#define EVENTUAL ((Goals){masks[Kind.EVENTUALLY]:#x}u)\n"
        f"#define IMAGES {permutations}\n"
        f"typedef uint{goal_bits}_t Goals;\n"
    )


def program(
    layout: Layout,
    system: System,
    questions: Sequence[Term],
    goals: Sequence[Term],
    permutations: Sequence[Permutation],
) -> str:
    """`system.h`: `expand`, `look` and the images. Raises TermError."""
    graph = Graph(system.variables)
    actions = [action(graph, layout, system, i) for i in range(len(system.actions))]
    looks = [question(graph, t, i) for i, t in enumerate(questions)] + [goal(graph, t, i) for i, t in enumerate(goals)]
    return (
        functions("expand", layout, [x for x in actions if x], "Worker *w", "w")
        + functions("look", layout, [x for x in looks if x], "uint32_t index, Worker *w", "index, w")
        + images(layout, permutations)
    )
