import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from resblock.pairs import WINDOW, neighbours, window_pairs

chains = st.lists(st.booleans(), min_size=1, max_size=12).map(np.array)


def expected_window(linked_a, linked_b, a, b):
    """The definition, pair by pair."""

    def reach(linked, k):
        before = [k - 1] if k > 0 and linked[k] else []
        after = [k + 1] if k + 1 < len(linked) and linked[k + 1] else []
        return [*before, k, *after]

    return [(i, j) for i in reach(linked_a, a) for j in reach(linked_b, b)]


@given(chains, chains)
def test_windows_are_linked_neighbours_row_by_row(first, second):
    pairs = np.argwhere(np.ones((len(first), len(second)), dtype=bool))
    steps, lengths = window_pairs(neighbours(first), neighbours(second), pairs)
    assert steps.shape == (WINDOW, len(pairs), 2)
    for p, (a, b) in enumerate(pairs):
        expected = expected_window(first, second, a, b)
        assert lengths[p] == len(expected)
        assert [tuple(step) for step in steps[: lengths[p], p]] == expected
        assert (steps[lengths[p] :, p] == -1).all()


def test_the_first_residue_has_none_before_whatever_its_flag():
    assert neighbours(np.array([True, True])).tolist() == [[-1, 0, 1], [0, 1, -1]]


def test_no_pairs():
    near = neighbours(np.array([False, True]))
    steps, lengths = window_pairs(near, near, np.empty((0, 2), dtype=np.int64))
    assert steps.shape == (9, 0, 2)
    assert lengths.shape == (0,)
