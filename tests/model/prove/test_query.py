from model.prove.query import Query, decide


def query(hypothesis, *, lemmas=(), violated):
    terms = [hypothesis, *lemmas, "true", violated]
    text = "".join(f"(declare-fun {n} () Int)" for n in "abc") + "".join(f"(assert {t})" for t in terms)
    return Query(text, fixed=1, lemmas=len(lemmas), goals=1, initial=(("a", 0), ("b", 0), ("c", 0)))


def test_a_counterexample_keeps_to_the_first_values_where_it_may():
    (reply,) = decide(query("(and (>= a 0) (>= b 0) (>= c 0))", violated="(and (>= (+ a b c) 7) (not (= a b)))"))
    assert not reply.shown
    assert sorted(reply.state) == [0, 0, 7]


def test_only_the_lemmas_that_are_enough_are_named():
    lemmas = ("(>= b 1)", "(<= a b)", "(>= c 1)", "(<= b c)")
    assert decide(query("(<= c 3)", lemmas=lemmas, violated="(> a 4)"))[0].used == (1, 3)


def test_the_lemmas_that_were_given_first_are_preferred():
    lemmas = ("(<= a b)", "(<= b c)", "(<= a c)")
    assert decide(query("(<= c 3)", lemmas=lemmas, violated="(> a 4)"))[0].used == (0, 1)


def test_no_lemma_is_named_where_none_is_needed():
    assert decide(query("(<= c 3)", lemmas=("(<= c 2)",), violated="(> c 4)"))[0].used == ()
