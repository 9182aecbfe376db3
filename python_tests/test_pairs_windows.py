import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from resblock.pairs import neighbours, window_pairs

chains = st.lists(st.booleans(), min_size=1, max_size=12).map(np.array)


def expected_window(linked_a, linked_b, a, b, side):
    """The definition, pair by pair."""

    def reach(linked, k):
        first = last = k
        while first > 0 and linked[first] and k - first < side // 2:
            first -= 1
        while last + 1 < len(linked) and linked[last + 1] and last - k < side // 2:
            last += 1
        return range(first, last + 1)

    return [(i, j) for i in reach(linked_a, a) for j in reach(linked_b, b)]


@given(chains, chains, st.sampled_from([1, 3, 5, 9]))
def test_windows_are_linked_neighbours_row_by_row(first, second, side):
    pairs = np.argwhere(np.ones((len(first), len(second)), dtype=bool))
    steps, lengths = window_pairs(neighbours(first, side), neighbours(second, side), pairs)
    assert steps.shape == (side**2, len(pairs), 2)
    for p, (a, b) in enumerate(pairs):
        expected = expected_window(first, second, a, b, side)
        assert lengths[p] == len(expected)
        assert [tuple(step) for step in steps[: lengths[p], p]] == expected
        assert (steps[lengths[p] :, p] == -1).all()


def test_the_papers_window_has_nine_steps():
    near = neighbours(np.array([False, True, True]))
    assert window_pairs(near, near, np.array([[1, 1]]))[0].shape == (9, 1, 2)


def test_the_first_residue_has_none_before_whatever_its_flag():
    assert neighbours(np.array([True, True])).tolist() == [[-1, 0, 1], [0, 1, -1]]


def test_no_pairs():
    near = neighbours(np.array([False, True]))
    steps, lengths = window_pairs(near, near, np.empty((0, 2), dtype=np.int64))
    assert steps.shape == (9, 0, 2)
    assert lengths.shape == (0,)
